"""The words of the two generated tasks. Training and validation share one lexicon, `ood` has another: no noun, verb or
adjective stands in both.

All forms are regular on purpose. A noun's plural is the noun plus "s". A verb's past is also its participle
("thanked", "was thanked", "had thanked"), so a hypothesis can be built out of the premise's own words.
"""

from dataclasses import dataclass


@dataclass(frozen=True)
class Lexicon:
    """One set of open-class words: `people` and `things` are singular nouns, `verbs` past forms that take a person as
    subject and object, `moods` adjectives for people, `looks` adjectives for things, `places` whole phrases."""

    people: tuple
    things: tuple
    verbs: tuple
    moods: tuple
    looks: tuple
    places: tuple


def _words(text):
    return tuple(text.split())


KNOWN = Lexicon(
    people=_words(
        "doctor lawyer teacher nurse pilot farmer painter singer dancer waiter driver student manager banker baker "
        "writer editor actor guard clerk judge tailor barber plumber gardener professor scientist engineer tourist "
        "neighbor reporter soldier officer author senator dentist cashier landlord musician athlete"
    ),
    things=_words(
        "lamp chair table mirror painting basket bottle box carpet kettle bicycle clock vase cushion ladder suitcase "
        "bucket drawer"
    ),
    verbs=_words(
        "thanked visited helped admired called followed warned hired trusted praised blamed noticed greeted invited "
        "ignored mocked recognized supported advised interrupted scolded amused contacted criticized"
    ),
    moods=_words("tired late hungry happy nervous angry busy calm sad proud ready bored"),
    looks=_words("dirty new expensive heavy old dusty cheap clean broken"),
    places=("at the station", "in the park", "after the meeting", "at the market", "before dinner", "in the library"),
)

HELD_OUT = Lexicon(
    people=_words("chef butler sailor carpenter librarian poet mechanic surgeon janitor architect golfer hunter miner"),
    things=_words("candle pillow sofa statue barrel umbrella piano curtain bowl"),
    verbs=_words("rescued insulted defended comforted annoyed welcomed questioned accused flattered avoided"),
    moods=_words("sleepy cheerful worried jealous lonely thirsty"),
    looks=_words("rusty wooden fragile ugly damp"),
    places=("at the airport", "near the river", "during the concert", "in the museum", "after lunch"),
)
