"""The back end `sortnet`: destinations that are data, delivered by sorting on them (Batcher 1968).

A Route round becomes ceil(log2 N)(ceil(log2 N) + 1)/2 rounds in which pairs of nodes exchange their words so that
destinations increase; sorted by destination, every word stands where it wanted to go. Destinations are whole numbers,
so [own > partner's] = relu(own - partner's) - relu(own - partner's - 1) is a bit; it switches the payload exactly for
words up to a bound: routing by data costs the freedom of scale that fixed routing has.

`compile_packed` packs instead of switching: where D is at least the range of the payload, D * destination + payload
are in the order of the destinations (of two that are equal either may stand first), so that minima and maxima sort
them, and D times the sorted destinations are taken off again. It costs range: packed words reach D N, which takes
log2 N + 1 bits or so from the payload wherever numbers are rounded, and a payload beyond the bound arrives elsewhere.
But every word is a minimum or maximum of inputs: the same argument as for sorting proves it for all payloads and all N!
destinations (`packed_route`, the witness `routing-sortnet`), where a switch multiplies a word by a bit.
"""

from __future__ import annotations

import math

import numpy as np

from separatrix.can.programs.batcher import stages
from separatrix.can.programs.expression import Expression, absolute, minimum, own, received, relu, select
from separatrix.can.programs.library import exchange
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
    _require_apart(step, program)
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


def compile_packed(program: Program, bound: float) -> Program:
    """The same program without Route rounds, right while routed words are at most `bound` in absolute value.

    A Route round becomes two more than a sorting network has: one that packs, one that unpacks.
    """
    rounds: list[Round] = []
    step_of, key, words = factor(bound), program.words, program.words + 1
    for step in program.rounds:
        if isinstance(step, Round):
            rounds.append(Round(step.lanes, (*step.update, own(key))))
            continue
        _require_apart(step, program)
        pack, unpack = [own(w) for w in range(words)], [own(w) for w in range(words)]
        pack[key] = own(step.destination)
        for w in step.payload:
            pack[w], unpack[w] = own(w) + step_of * own(step.destination), own(w) - step_of * own(key)
        sort = sorting((*step.payload, key), words, program.nodes)
        rounds += [Round((), tuple(pack)), *sort, Round((), tuple(unpack))]
    return Program(f"{program.name}-packed", program.nodes, words, program.inputs, tuple(rounds), program.outputs)


def packed_route(n: int, bound: float) -> tuple[Program, np.ndarray]:
    """Routing alone, of payloads up to `bound`: packed by the first map (2 inputs, 2 words), unpacked by the read-out.

    Words: D * destination + payload, and the destination.
    """
    step = factor(bound)
    program = Program("route", n, 2, 2, sorting((0, 1), 2, n), (own(0) - step * own(1),))
    return program, np.array([[step, 1.0], [1.0, 0.0]])


def factor(bound: float) -> float:
    """D: the least power of two that is at least the range of numbers in [-bound, bound]."""
    fraction, exponent = math.frexp(2.0 * bound)  # 2 bound = fraction 2^exponent, 1/2 <= fraction < 1
    return math.ldexp(1.0, exponent - (fraction == 0.5))


def sorting(carried: tuple[int, ...], words: int, n: int) -> tuple[Round, ...]:
    """The rounds of Batcher's network (one idle round for a single node), on each of the carried words by itself."""
    rounds = []
    for stage in stages(n) or [[]]:
        update = [own(w) for w in range(words)]
        for k, w in enumerate(carried):
            update[w] = minimum(own(w), received(2 * k)) + absolute(received(2 * k + 1) - own(w))
        rounds.append(Round(tuple(lane for w in carried for lane in exchange(n, stage, w)), tuple(update)))
    return tuple(rounds)


def _require_apart(step: Route, program: Program) -> None:
    if step.destination in step.payload:
        raise InputError(f"program {program.name}: word {step.destination} is both destination and payload of a route")


def _gap(own_key: Expression, other: Expression, own_if_low: Expression, other_if_low: Expression) -> Expression:
    """Positive where the pair must swap: own - other on a low wire, other - own on a high one, 0 on an idle one.

    With the low wire's words delivered once more (0 elsewhere): other - own + 2 (own_if_low - other_if_low).
    """
    return other - own_key + 2.0 * own_if_low - 2.0 * other_if_low
