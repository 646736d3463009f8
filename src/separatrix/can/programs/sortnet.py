"""The back end `sortnet`: destinations that are data, delivered by sorting on them (Batcher 1968).

A Route round becomes ceil(log2 N)(ceil(log2 N) + 1)/2 rounds in which pairs of nodes exchange their words so that
destinations increase; sorted by destination, every word stands where it wanted to go. Destinations are whole numbers,
so [own > partner's] = relu(own - partner's) - relu(own - partner's - 1) is a bit; it switches the payload exactly for
words up to a bound: routing by data costs the freedom of scale that fixed routing has.
"""

from __future__ import annotations

from separatrix.can.programs.batcher import stages
from separatrix.can.programs.expression import Expression, own, received, relu, select
from separatrix.can.programs.program import SINK, Lane, Program, Round, Route
from separatrix.core.errors import InputError


def compile_sortnet(program: Program, bound: float) -> Program:
    """The same program without Route rounds, right while all words are at most `bound` in absolute value.

    Raises InputError where a routed word would have to be both destination and payload.
    """
    rounds: list[Round | Route] = []
    for step in program.rounds:
        rounds += _sorted(step, program, bound) if isinstance(step, Route) else [step]
    # one more word: the destination as it travels
    words = program.words + 1
    rounds = [
        Round(step.lanes, (*step.update, *(own(w) for w in range(len(step.update), words))))
        for step in rounds
        if isinstance(step, Round)
    ]
    return Program(f"{program.name}-sortnet", program.nodes, words, program.inputs, tuple(rounds), program.outputs)


def _sorted(step: Route, program: Program, bound: float) -> list[Round]:
    """Rounds that sort by a copy of the destination, the payload carried along."""
    if step.destination in step.payload:
        raise InputError(f"program {program.name}: word {step.destination} is both destination and payload of a route")
    n, key = program.nodes, program.words
    carried = (key, *step.payload)
    copy = [own(w) for w in range(program.words)]
    rounds = [Round((), (*copy, own(step.destination)))]
    limit = max(bound, float(n))
    for stage in stages(n):
        partner = {a: b for low, high in stage for a, b in ((low, high), (high, low))}
        other = tuple(partner.get(i, i) for i in range(n))
        low = tuple(partner[i] if i in {a for a, _ in stage} else SINK for i in range(n))
        own_low = tuple(i if i in {a for a, _ in stage} else SINK for i in range(n))
        # every node: the partner's words; the key gap is read as (partner - own) on low wires, (own - partner) on high
        lanes = [Lane(w, other) for w in carried]
        lanes += [Lane(key, low), Lane(key, own_low)]
        theirs = {w: received(k) for k, w in enumerate(carried)}
        mine_if_low, partner_if_low = received(len(carried) + 1), received(len(carried))
        gap = _gap(own(key), theirs[key], mine_if_low, partner_if_low)
        swap = relu(gap) - relu(gap - 1.0)
        update: list[Expression] = [own(w) for w in range(program.words + 1)]
        for w in carried:
            update[w] = select(swap, theirs[w], own(w), limit)
        rounds.append(Round(tuple(lanes), tuple(update)))
    return rounds


def _gap(own_key: Expression, other: Expression, own_if_low: Expression, other_if_low: Expression) -> Expression:
    """Positive where the pair must swap: own - other on a low wire, other - own on a high one, 0 on an idle one.

    With the low wire's words delivered once more (0 elsewhere): other - own + 2 (own_if_low - other_if_low).
    """
    return other - own_key + 2.0 * own_if_low - 2.0 * other_if_low
