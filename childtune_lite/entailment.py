"""The constructions of the task "entailment": a premise and a hypothesis, label 0 = entailed, 1 = not entailed.

A premise asserts one clause and leaves another open: negated, doubted, only claimed. The hypothesis asks for one of
them in the premise's own words, so what counts is where the operator stands. Most hypotheses (`FIRST`) ask for the
clause that comes first: a reader who only notes whether the operator stands there is right that often, one who matches
the clauses always is. `roles` and `cleft` ask who did it. Both labels draw on the very same words.
"""

FIRST = 0.85  # share of hypotheses that ask for the premise's first clause


def say(clause):
    subject, verb, object_ = clause
    return f"the {subject} {verb} the {object_}"


def aim(pen, follows):
    """(which of the two clauses is left open, which one the hypothesis asks for): 0 the first, 1 the second."""
    asked = 0 if pen.chance(FIRST) else 1
    return (1 - asked if follows else asked), asked


def two_clauses(pen):
    """Two clauses that share nobody."""
    (a, b, c, d), (v, w) = pen.people(4), pen.verbs(2)
    return (a, v, b), (c, w, d)


def maybe(pen, follows, adverb="perhaps"):
    """Perhaps the clerk thanked the judge, but the nurse called the pilot. -> The nurse called the pilot."""
    clauses, (left_open, asked) = two_clauses(pen), aim(pen, follows)
    parts = [f"{adverb} {say(clause)}" if i == left_open else say(clause) for i, clause in enumerate(clauses)]
    return ", but ".join(parts), say(clauses[asked])


def negated_one(pen, follows):
    """The clerk had thanked the judge but had not called the pilot. -> The clerk had thanked the judge."""
    (a, b, c), verbs, (left_open, asked) = pen.people(3), pen.verbs(2), aim(pen, follows)
    one, two = ("had not " if i == left_open else "had " for i in (0, 1))
    premise = f"the {a} {one}{verbs[0]} the {b} but {two}{verbs[1]} the {c}"
    return premise, f"the {a} had {verbs[asked]} the {(b, c)[asked]}"


def negated_relative(pen, follows):
    """The clerk who had not thanked the judge had called the pilot. -> The clerk had called the pilot."""
    (a, b, c), verbs, (left_open, asked) = pen.people(3), pen.verbs(2), aim(pen, follows)
    one, two = ("had not " if i == left_open else "had " for i in (0, 1))
    premise = f"the {a} who {one}{verbs[0]} the {b} {two}{verbs[1]} the {c}"
    return premise, f"the {a} had {verbs[asked]} the {(b, c)[asked]}"


def replaced(pen, follows):
    """Instead of the judge, the clerk thanked the pilot. / The clerk thanked the judge instead of the pilot."""
    (a, b, c), verb, (left_open, asked) = pen.people(3), pen.pick(pen.words.verbs), aim(pen, follows)
    premise = (
        f"the {a} {verb} the {b} instead of the {c}" if left_open else f"instead of the {b}, the {a} {verb} the {c}"
    )
    return premise, f"the {a} {verb} the {(b, c)[asked]}"


def claimed(pen, follows, open_=("believed", "claimed", "suspected"), known=("knew", "realized", "remembered")):
    """The clerk claimed that the judge had hired the nurse and knew that ... -> The judge had hired the nurse."""
    (a, b, c, d, e), (v, w), (left_open, asked) = pen.people(5), pen.verbs(2), aim(pen, follows)
    one, two = (pen.pick(open_ if i == left_open else known) for i in (0, 1))
    clauses = f"the {b} had {v} the {c}", f"the {d} had {w} the {e}"
    return f"the {a} {one} that {clauses[0]} and {two} that {clauses[1]}", clauses[asked]


def negated_above(pen, follows):
    """The clerk had not noticed that the judge had called him. / ... had noticed that the judge had not called him."""
    (a, b, c), verb = pen.people(3), pen.pick(pen.words.verbs)
    one, two = ("had not", "had") if follows else ("had", "had not")
    factive = pen.pick(("noticed", "realized", "remembered", "known"))
    return f"the {a} {one} {factive} that the {b} {two} {verb} the {c}", f"the {b} had {verb} the {c}"


def roles(pen, follows):
    """The clerk who the judge thanked was late. -> The judge thanked the clerk."""
    (a, b), verb, mood = pen.people(2), pen.pick(pen.words.verbs), pen.pick(pen.words.moods)
    premise, clause = pen.pick(
        (
            (f"the {a} who {verb} the {b} was {mood}", (a, verb, b)),
            (f"the {a} who the {b} {verb} was {mood}", (b, verb, a)),
            (f"the {a} was {verb} by the {b} and was {mood}", (b, verb, a)),
        )
    )
    return premise, say(clause if follows else clause[::-1])


# ---- held out: only `ood` has these


def supposedly(pen, follows):
    """Supposedly the chef insulted the poet, but the miner defended the hunter. -> The miner defended the hunter."""
    return maybe(pen, follows, adverb=pen.pick(("supposedly", "allegedly", "possibly")))


def pretended(pen, follows):
    """The chef pretended that the poet had left and admitted that the miner had stayed. -> The miner had stayed."""
    return claimed(
        pen, follows, open_=("pretended", "imagined", "doubted"), known=("admitted", "discovered", "regretted")
    )


def rather_than(pen, follows):
    """Rather than the chef, the poet avoided the miner. / The chef, rather than the poet, avoided the miner."""
    (a, b, c), verb, (left_open, asked) = pen.people(3), pen.pick(pen.words.verbs), aim(pen, follows)
    orders = (f"rather than the {a}, the {b} {verb} the {c}", f"the {a}, rather than the {b}, {verb} the {c}")
    return orders[left_open], f"the {(a, b)[asked]} {verb} the {c}"


def uncertain(pen, follows):
    """The chef may have flattered the poet but had avoided the miner. -> The chef had avoided the miner."""
    (a, b, c), verbs, (left_open, asked) = pen.people(3), pen.verbs(2), aim(pen, follows)
    open_, asserted = pen.pick((("may have", "had"), ("had never", "had often")))
    one, two = (open_ if i == left_open else asserted for i in (0, 1))
    premise = f"the {a} {one} {verbs[0]} the {b} but {two} {verbs[1]} the {c}"
    return premise, f"the {a} had {verbs[asked]} the {(b, c)[asked]}"


def cleft(pen, follows):
    """It was the chef who the poet insulted. -> The poet insulted the chef."""
    (a, b), verb = pen.people(2), pen.pick(pen.words.verbs)
    premise, clause = pen.pick(
        ((f"it was the {a} who {verb} the {b}", (a, verb, b)), (f"it was the {a} who the {b} {verb}", (b, verb, a)))
    )
    return premise, say(clause if follows else clause[::-1])


KNOWN = (maybe, negated_one, negated_relative, replaced, claimed, negated_above, roles)
HELD_OUT = (supposedly, pretended, rather_than, uncertain, cleft)
