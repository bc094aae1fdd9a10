"""The constructions of the task "acceptability": one sentence, label 1 = acceptable, 0 = not.

Each takes a `Pen` and whether the sentence shall be good, and is shown by a minimal pair. In most pairs both sentences
hold the very same words; in the others (agreement, gaps) every word is as likely in a good sentence as in a bad one.
"""

BE = (("was", "were"), ("is", "are"))  # (singular, plural)
REFLEXIVE = ("introduced", "embarrassed", "surprised", "defended", "hurt", "fooled", "injured", "enjoyed", "described")
ADVERBS = ("often", "never", "secretly", "already", "openly", "finally", "quickly")
PARTICLES = (("woke", "up"), ("picked", "up"), ("called", "back"), ("let", "in"), ("sent", "away"), ("cheered", "up"))
NEAR = ("near", "behind", "beside", "next to", "in front of")


def number(noun, plural):
    return noun + "s" if plural else noun


def pair(pen):
    """A subject, the noun that stands between it and its verb, and a predicate that suits the subject."""
    if pen.coin():
        return *pen.people(2), pen.pick(pen.words.moods)
    return *pen.some(pen.words.things, 2), pen.pick(pen.words.looks)


def agreement_over_phrase(pen, good):
    """The lamps near the chair are dirty. / The lamp near the chairs are dirty."""
    (head, other, predicate), many = pair(pen), pen.coin()
    verb = pen.pick(BE)[many if good else not many]
    return f"The {number(head, many)} {pen.pick(NEAR)} the {number(other, pen.coin())} {verb} {predicate}."


def determiners(pen, good):
    """This pilot thanked these nurses. / These pilot thanked this nurses."""
    (first, second), many = pen.people(2), pen.coin()
    forms = pen.pick((("this", "these"), ("that", "those")))
    one, two = forms[many == good], forms[many != good]
    text = f"{one} {number(first, many)} {pen.pick(pen.words.verbs)} {two} {number(second, not many)}"
    return f"{text.capitalize()} {pen.pick(pen.words.places)}."


def inversion(pen, good):
    """Who had the clerk called? / The judge knows who had the clerk called."""
    asker, actor = pen.people(2)
    verb, place = pen.pick(pen.words.verbs), pen.pick(pen.words.places)
    main = pen.coin()  # a main question inverts, an embedded one does not
    middle = f"had the {actor}" if main == good else f"the {actor} had"
    if main:
        return f"Who {middle} {verb} {place}?"
    return f"The {asker} {pen.pick(('knows', 'forgot', 'remembers'))} who {middle} {verb} {place}."


def filler_and_gap(pen, good):
    """The judge knows who the clerk called. / The judge knows who the clerk called the nurse."""
    asker, actor, patient = pen.people(3)
    gap = pen.coin()  # "who" needs a gap, "that" must not have one
    opener = "who" if gap == good else "that"
    patient = "" if gap else f" the {patient}"
    knows = pen.pick(("knows", "forgot", "remembers"))
    return (
        f"The {asker} {knows} {opener} the {actor} {pen.pick(pen.words.verbs)}{patient} {pen.pick(pen.words.places)}."
    )


def licensed_ever(pen, good):
    """No guard who the clerk called has ever been late. / The guard who no clerk called has ever been late."""
    (head, other), (no, the) = pen.people(2), ("No", "the") if good else ("The", "no")
    verb = pen.pick(pen.words.verbs)
    clause = f"{the} {other} {verb}" if pen.coin() else f"{verb} {the} {other}"
    return f"{no} {head} who {clause} has ever been {pen.pick(pen.words.moods)}."


def adverb_inside(pen, good):
    """The clerk had often thanked the nurse. / The clerk had thanked often the nurse."""
    (actor, patient), adverb, verb = pen.people(2), pen.pick(ADVERBS), pen.pick(pen.words.verbs)
    middle = f"{adverb} {verb}" if good else f"{verb} {adverb}"
    return f"The {actor} {pen.pick(('had', 'has'))} {middle} the {patient} {pen.pick(pen.words.places)}."


def particle(pen, good):
    """The guard woke them up. / The guard woke up them."""
    verb, up = pen.pick(PARTICLES)
    them = pen.pick(("him", "her", "them"))
    end = f"{them} {up}" if good else f"{up} {them}"
    return f"The {pen.pick(pen.words.people)} {verb} {end} {pen.pick(pen.words.places)}."


def enough(pen, good):
    """The judge was kind enough to help the clerk. / The judge was enough kind to help the clerk."""
    (actor, patient), trait = pen.people(2), pen.pick(("kind", "polite", "brave", "friendly", "clever", "generous"))
    degree = f"{trait} enough" if good else f"enough {trait}"
    action = pen.pick(("help", "call", "thank", "visit", "answer", "greet", "invite", "warn"))
    return f"The {actor} was {degree} to {action} the {patient} {pen.pick(pen.words.places)}."


# ---- held out: only `ood` has these


def agreement_in_question(pen, good):
    """Are the lamps near the chair dirty? / Are the lamp near the chairs dirty?"""
    (head, other, predicate), many = pair(pen), pen.coin()
    verb = pen.pick(BE)[many if good else not many].capitalize()
    return f"{verb} the {number(head, many)} {pen.pick(NEAR)} the {number(other, pen.coin())} {predicate}?"


def reflexive_over_clause(pen, good):
    """The actors who the guard saw blamed themselves. / The actor who the guards saw blamed themselves."""
    (head, other), many = pen.people(2), pen.coin()
    itself = "themselves" if many == good else pen.pick(("himself", "herself"))
    inner, outer = pen.pick(pen.words.verbs), pen.pick(REFLEXIVE)
    return f"The {number(head, many)} who the {number(other, pen.coin())} {inner} {outer} {itself}."


def two_objects(pen, good):
    """The nurse gave the pilot a lamp. / The nurse gave a lamp the pilot."""
    (giver, taker), gift = pen.people(2), pen.pick(pen.words.things)
    objects = (f"the {taker}", f"the {gift}") if good else (f"the {gift}", f"the {taker}")
    return (
        f"The {giver} {pen.pick(('gave', 'lent', 'sold', 'showed'))} {' '.join(objects)} {pen.pick(pen.words.places)}."
    )


def inversion_after_whether(pen, good):
    """The chef asked if the poet had welcomed the miner. / The chef asked if had the poet welcomed the miner."""
    asker, actor, patient = pen.people(3)
    middle = f"the {actor} had" if good else f"had the {actor}"
    asks = pen.pick(("asked", "wondered"))
    return f"The {asker} {asks} {pen.pick(('whether', 'if'))} {middle} {pen.pick(pen.words.verbs)} the {patient}."


def licensed_any(pen, good):
    """Nobody who the clerk called had any money. / The clerk who nobody called had any money."""
    person, verb = pen.pick(pen.words.people), pen.pick(pen.words.verbs)
    first, second = ("nobody", f"the {person}") if good else (f"the {person}", "nobody")
    clause = f"{second} {verb}" if pen.coin() else f"{verb} {second}"
    thing = pen.pick(("money", "patience", "doubts", "luggage", "friends", "questions"))
    return f"{first.capitalize()} who {clause} had any {thing}."


def auxiliaries(pen, good):
    """The chef must have been rescued by the poet. / The chef must been have rescued by the poet."""
    (actor, patient), first = pen.people(2), pen.pick(("must", "may", "might", "should"))
    middle = "have been" if good else "been have"
    return f"The {actor} {first} {middle} {pen.pick(pen.words.verbs)} by the {patient} {pen.pick(pen.words.places)}."


KNOWN = (
    inversion,
    licensed_ever,
    adverb_inside,
    particle,
    enough,
    filler_and_gap,
    determiners,
    agreement_over_phrase,
)
HELD_OUT = (
    inversion_after_whether,
    licensed_any,
    two_objects,
    auxiliaries,
    reflexive_over_clause,
    agreement_in_question,
)
