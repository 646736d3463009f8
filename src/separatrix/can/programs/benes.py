"""The back end `benes`: every lane routed through a Benes network, whose switches are words of the input.

Back de Luca et al. 2025, Theorem 5.1 counts 2 ceil(log2 N) layers a round, N + 1 nodes and 2 s heads for s lanes: a
wire of a Benes network has two fixed predecessors in each of its 2 ceil(log2 N) - 1 stages, straight and across, so two
heads fetch both and the feed-forward net is the switch; one more layer applies the local function. Which of the two a
wire takes is a bit of the routed permutation. As the destinations are known here, so are the bits (`settings`), which
enter as input words: a program routed so takes any permutation of that round without new weights.
`fixed_benes` has them in the weights: of the two heads the one that is not taken reads the sink. No switch is left to
compute then, the program is right at every scale, and its certificate is that of any positional program.
Source of the network: Benes 1964; switch settings by the looping algorithm.
"""

from __future__ import annotations

import numpy as np

from separatrix.can.programs.expression import Expression, Leaf, Relu, own, received, select
from separatrix.can.programs.program import SINK, Lane, Program, Round
from separatrix.core.errors import InputError

SHARP = 1024.0  # the score gap: each of hundreds of layers may magnify what leaked before


def bits_of(n: int) -> int:
    """log2 of n; InputError unless n is a power of two from 2 on."""
    k = n.bit_length() - 1
    if n < 2 or n != 1 << k:
        raise InputError(f"a Benes network has a power of two wires, 2 or more; {n} nodes were given: add idle ones")
    return k


def spans(n: int) -> list[int]:
    """How far apart the two predecessors of a wire are, stage by stage: N/2, .., 2, 1, 2, .., N/2.

    >>> spans(8)
    [4, 2, 1, 2, 4]
    """
    k = bits_of(n)
    down = [1 << b for b in reversed(range(k))]
    return down + down[-2::-1]


def settings(sources: tuple[int, ...]) -> np.ndarray:
    """(stages, N) bits that make the network deliver wire sources[i] at wire i: 1 takes the word from across.

    Raises InputError unless `sources` is a permutation of a power of two wires.
    """
    n = len(sources)
    bits_of(n)
    if sorted(sources) != list(range(n)):
        raise InputError("a Benes network routes permutations; a lane reads some node twice or not at all")
    return _route(np.array(sources))


def _route(sources: np.ndarray) -> np.ndarray:
    """The looping algorithm. Wires i and i + N/2 meet in the first and the last stage; the halves go on alone."""
    n, half = len(sources), len(sources) // 2
    if n == 2:
        return np.array([[int(sources[0] == 1)] * 2])
    where = np.argsort(sources)  # where[j]: the output that wants input j
    lower = np.full(n, -1)  # lower[i]: 1 if output i is served by the lower half of the network
    for first in range(half):
        i = first
        while lower[i] < 0:
            lower[i], other = 0, (i + half) % n
            lower[other] = 1  # the two outputs of a last switch come from different halves
            i = int(where[(sources[other] + half) % n])  # so do the two inputs of a first switch
    out = np.zeros((2 * bits_of(n) - 1, n), dtype=np.int64)
    inner = np.zeros((2, half), dtype=np.int64)
    for i in range(n):
        part, j = int(lower[i]), int(sources[i])
        # input j leaves the first stage on its own wire, or across on j +- half; likewise before the last stage
        out[0, (j % half) + part * half] = int(j // half != part)
        out[-1, i] = int(i // half != part)
        inner[part, i % half] = j % half
    for part in (0, 1):
        out[1:-1, part * half : (part + 1) * half] = _route(inner[part])
    return out


def compile_benes(program: Program, bound: float) -> tuple[Program, np.ndarray]:
    """The same program with every lane routed by a Benes network; and its extra input words.

    Args:
        program: without Route rounds; its lanes must be permutations of a power of two nodes.
        bound: the switches are exact for words up to it in absolute value.

    Returns:
        The program, of 2 ceil(log2 N) rounds for each of the given ones and two lanes for each of the given ones; and
        (N, extra) the settings to append to every node's input words.
    """
    n, stages = program.nodes, spans(program.nodes)
    for step in program.rounds:
        if not isinstance(step, Round):
            raise InputError(f"program {program.name} routes by data; remove its Route rounds by the back end sortnet")
        if any(SINK in lane.sources for lane in step.lanes):
            raise InputError(f"program {program.name}: a Benes lane must deliver a word to every node")
    kept, lanes = program.words, program.lanes
    count = sum(len(step.lanes) for step in program.rounds if isinstance(step, Round)) * len(stages)
    extra = np.zeros((n, count), dtype=np.int64)
    # memory: input words, settings, the other words of the program, one travelling word a lane
    moved = [w if w < program.inputs else w + count for w in range(kept)]
    travel = [kept + count + lane for lane in range(lanes)]
    words, column, rounds = kept + count + lanes, program.inputs, []
    for step in program.rounds:
        assert isinstance(step, Round)
        routes = [settings(lane.sources) for lane in step.lanes]
        for number, span in enumerate(stages):
            update, heads = [own(w) for w in range(words)], []
            across = tuple(i ^ span for i in range(n))
            for lane, bits in enumerate(routes):
                word = moved[step.lanes[lane].word] if number == 0 else travel[lane]
                heads += [Lane(word, tuple(range(n))), Lane(word, across)]
                bit = own(column + lane * len(stages) + number)
                extra[:, column - program.inputs + lane * len(stages) + number] = bits[number]
                update[travel[lane]] = select(bit, received(2 * lane + 1), received(2 * lane), bound)
            rounds.append(Round(tuple(heads), tuple(update)))
        column += len(routes) * len(stages)
        update = [own(w) for w in range(words)]
        for w, expression in enumerate(step.update):
            update[moved[w]] = _renamed(expression, moved, travel)
        rounds.append(Round((), tuple(update)))
    outputs = tuple(_renamed(expression, moved, travel) for expression in program.outputs)
    routed = Program(f"{program.name}-benes", n, words, program.inputs + count, tuple(rounds), outputs)
    return routed, extra


def fixed_benes(program: Program) -> Program:
    """The same program with every lane routed by a Benes network whose settings stand in the attention patterns.

    Lanes may be partial: a node that reads the sink gets 0. 2 ceil(log2 N) rounds for each of the given ones, two lanes
    for each lane; a round in which nodes read nobody but themselves stays one. InputError for Route rounds, for a lane
    that reads some node twice, and unless N is a power of two.
    """
    n, stages = program.nodes, spans(program.nodes)
    kept = program.words
    routed = [s for s in program.rounds if isinstance(s, Round) and not _alone(s)]
    count = max((len(step.lanes) for step in routed), default=0)
    travel, rounds, nothing = [kept + lane for lane in range(count)], [], (0.0 * own(0),) * count
    for step in program.rounds:
        if not isinstance(step, Round):
            raise InputError(f"program {program.name} routes by data; remove its Route rounds by the back end sortnet")
        if _alone(step):
            rounds.append(Round(step.lanes, (*step.update, *nothing)))
            continue
        routes = [settings(_completed(lane.sources)) for lane in step.lanes]
        for number, span in enumerate(stages):
            update, heads = [own(w) for w in range(kept + count)], []
            for k, (lane, bits) in enumerate(zip(step.lanes, routes, strict=True)):
                word = lane.word if number == 0 else travel[k]
                live = [number < len(stages) - 1 or source != SINK for source in lane.sources]
                heads.append(Lane(word, tuple(i if live[i] and not bits[number, i] else SINK for i in range(n))))
                heads.append(Lane(word, tuple(i ^ span if live[i] and bits[number, i] else SINK for i in range(n))))
                update[travel[k]] = received(2 * k) + received(2 * k + 1)
            rounds.append(Round(tuple(heads), tuple(update)))
        update = [_renamed(expression, list(range(kept)), travel) for expression in step.update]
        rounds.append(Round((), (*update, *nothing)))
    return Program(f"{program.name}-benes", n, kept + count, program.inputs, tuple(rounds), program.outputs)


def _alone(step: Round) -> bool:
    """Whether every node reads itself or the sink."""
    return all(source in (i, SINK) for lane in step.lanes for i, source in enumerate(lane.sources))


def _completed(sources: tuple[int, ...]) -> tuple[int, ...]:
    """A permutation that agrees with `sources` where they are no sink; InputError where a node is read twice."""
    free = iter(sorted(set(range(len(sources))) - set(sources)))
    return tuple(next(free, -1) if source == SINK else source for source in sources)


def _renamed(expression: Expression, moved: list[int], travel: list[int]) -> Expression:
    """The expression with own words renumbered, and received words read where their lane left them."""
    total = Expression((), expression.constant)
    for atom, coefficient in expression.terms:
        if isinstance(atom, Relu):
            renamed = Expression(((Relu(_renamed(atom.argument, moved, travel)), 1.0),))
        else:
            assert isinstance(atom, Leaf)
            renamed = own(moved[atom.index] if atom.kind == "own" else travel[atom.index])
        total = total + coefficient * renamed
    return total
