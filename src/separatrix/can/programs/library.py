"""Programs that ship: scans, reductions, sorting, routing, maximum subarray, prefix medians.

Every one but `route` is positively homogeneous (no constant stands in it), so it is right at every scale of its input.
"""

from __future__ import annotations

from collections.abc import Callable

from separatrix.can.programs.batcher import stages
from separatrix.can.programs.expression import Expression, absolute, maximum, minimum, own, received
from separatrix.can.programs.program import SINK, Lane, Program, Round, Route


def _back(n: int, step: int, idle: int | None = SINK) -> tuple[int, ...]:
    """Node i reads node i - step; a node without one reads `idle` (None: itself)."""
    return tuple(i - step if i >= step else (i if idle is None else idle) for i in range(n))


def _powers(n: int) -> list[int]:
    """1, 2, 4, .. below n; [1] for n = 1, so that every program has a round."""
    return [2**k for k in range(max(1, (n - 1).bit_length()))]


def prefix_sums(n: int) -> Program:
    """y_i = x_1 + .. + x_i in ceil(log2 N) rounds (Hillis and Steele 1986)."""
    rounds = tuple(Round((Lane(0, _back(n, k)),), (own(0) + received(0),)) for k in _powers(n))
    return Program("prefix-sums", n, 1, 1, rounds)


def _scan(n: int, name: str, join: Callable[[Expression, Expression], Expression]) -> Program:
    rounds = tuple(Round((Lane(0, _back(n, k, None)),), (join(own(0), received(0)),)) for k in _powers(n))
    return Program(name, n, 1, 1, rounds)


def prefix_minima(n: int) -> Program:
    """y_i = min(x_1, .., x_i) in ceil(log2 N) rounds; idle nodes read themselves."""
    return _scan(n, "prefix-minima", minimum)


def prefix_maxima(n: int) -> Program:
    """y_i = max(x_1, .., x_i) in ceil(log2 N) rounds."""
    return _scan(n, "prefix-maxima", maximum)


def total(n: int) -> Program:
    """Every node answers x_1 + .. + x_N: a tree up to the first node, and back down, 2 ceil(log2 N) rounds."""
    up, down = [], []
    for k in _powers(n):
        reads = tuple(i + k if i % (2 * k) == 0 and i + k < n else SINK for i in range(n))
        up.append(Round((Lane(0, reads),), (own(0) + received(0),)))
        tell = tuple(i - k if i % (2 * k) == k else i for i in range(n))
        down.append(Round((Lane(0, tell),), (received(0),)))
    return Program("total", n, 1, 1, (*up, *reversed(down)))


def _all_reduce(n: int, name: str, join: Callable[[Expression, Expression], Expression]) -> Program:
    """Every node joins with the node k further on, cyclically: after ceil(log2 N) rounds it has seen everybody."""
    rounds = tuple(
        Round((Lane(0, tuple((i + k) % n for i in range(n))),), (join(own(0), received(0)),)) for k in _powers(n)
    )
    return Program(name, n, 1, 1, rounds)


def least(n: int) -> Program:
    """Every node answers min(x_1, .., x_N), in ceil(log2 N) rounds (joining twice with the same word is harmless)."""
    return _all_reduce(n, "least", minimum)


def greatest(n: int) -> Program:
    """Every node answers max(x_1, .., x_N)."""
    return _all_reduce(n, "greatest", maximum)


def exchange(n: int, stage: list[tuple[int, int]], word: int = 0) -> tuple[Lane, Lane]:
    """Lanes of one sorting stage: the first reads the partner, the second the node itself (low) or the partner (high).

    min(x, h1) + |h2 - x| is then the smaller word on the low wire, the larger on the high one, x on an idle wire.
    """
    first, second = list(range(n)), list(range(n))
    for low, high in stage:
        first[low], first[high], second[high] = high, low, low
    return Lane(word, tuple(first)), Lane(word, tuple(second))


COMPARE = minimum(own(0), received(0)) + absolute(received(1) - own(0))


def sort(n: int) -> Program:
    """y_1 <= .. <= y_N, the inputs in order: Batcher's network, L(L+1)/2 rounds for L = ceil(log2 N), 2 heads."""
    return Program("sort", n, 1, 1, tuple(Round(exchange(n, stage), (COMPARE,)) for stage in stages(n) or [[]]))


def sort_in_turn(n: int) -> Program:
    """`sort` by lanes that read no node twice: the partner's word, kept; then a round in which nodes read themselves.

    A low or idle node reads its own word again, a high one the partner's: min(x, y) + |h - x| as in `exchange`.
    """
    rounds = []
    for stage in stages(n) or [[]]:
        partner = exchange(n, stage)[0].sources
        high = {b for _, b in stage}
        rounds.append(Round((Lane(0, partner),), (own(0), received(0))))
        theirs = tuple(i if i in high else SINK for i in range(n))
        mine = tuple(SINK if i in high else i for i in range(n))
        update = minimum(own(0), own(1)) + absolute(received(0) + received(1) - own(0))
        rounds.append(Round((Lane(1, theirs), Lane(0, mine)), (update, 0.0 * own(0))))
    return Program("sort", n, 2, 1, tuple(rounds))


def route(n: int) -> Program:
    """y_(p_i) = x_i for inputs p_i, a permutation of the nodes, and x_i: one round, whose destinations are data."""
    return Program("route", n, 2, 2, (Route(0, (1,)),), (own(1),))


def maximum_subarray(n: int) -> Program:
    """y_i = the largest sum of a non-empty run within x_1 .. x_i, in 2 ceil(log2 N) + 1 rounds of up to 6 lanes.

    Words T, P, S, M of a block: its sum, its best prefix, suffix and run. A block on the left (l) joins as T = Tl + T,
    P = max(Pl, Tl + P), S = max(S, T + Sl), M = max(Ml, M, Sl + P); the last sum waits in a fifth word for a round of
    its own, so that every round is one hidden layer. An idle node reads itself for the three left words and the sink
    for Tl, own T and own P: P = max(P, P), S = max(S, S), M = max(M, M, S) leave it as it is.
    """
    rounds = [Round((), (own(0),) * 4 + (0.0 * own(0),))]  # a single word is its own sum, prefix, suffix and run
    tl, pl, sl, ml, t, p = map(received, range(6))
    join = (tl + own(0), maximum(pl, tl + own(1)), maximum(own(2), t + sl), maximum(ml, own(3)), sl + p)
    settle = (own(0), own(1), own(2), maximum(own(3), own(4)), 0.0 * own(0))
    for k in _powers(n):
        left, own_or_idle = _back(n, k), _back(n, k, None)
        active = tuple(i if i >= k else SINK for i in range(n))  # the own word, 0 on idle nodes
        lanes = (Lane(0, left), Lane(1, own_or_idle), Lane(2, own_or_idle), Lane(3, own_or_idle))
        rounds += [Round((*lanes, Lane(0, active), Lane(1, active)), join), Round((), settle)]
    return Program("maximum-subarray", n, 5, 1, tuple(rounds), (own(3),))


def prefix_medians(n: int) -> Program:
    """y_i = the median of x_1 .. x_i (the mean of the middle two), 2N words and lanes.

    Node i collects every word of its prefix twice, and pads with as many copies of the prefix's minimum as of its
    maximum, which leaves the median; then sorts its own 2N words, and takes the mean of the middle two.
    """
    first = [Round((), (own(0),) * 3 + (0.0 * own(0),) * (2 * n - 2))]  # words: x, minimum, maximum, then 0
    words = 2 * n + 1
    for k in _powers(n):
        lanes = (Lane(1, _back(n, k, None)), Lane(2, _back(n, k, None)))
        scan = (own(0), minimum(own(1), received(0)), maximum(own(2), received(1)), *map(own, range(3, words)))
        first.append(Round(lanes, scan))
    lanes, update = [], []
    for j in range(n):
        here = tuple(j if j <= i else SINK for i in range(n))
        pad = tuple(SINK if j <= i else i for i in range(n))
        lanes += [Lane(0, here), Lane(1, pad), Lane(2, pad)]
        x, low, high = (received(3 * j + k) for k in range(3))
        update += [x + low, x + high]
    first.append(Round(tuple(lanes), (*update, 0.0 * own(0))))
    for stage in stages(2 * n):
        moved = [own(w) for w in range(words)]
        for a, b in stage:
            moved[a], moved[b] = minimum(own(a), own(b)), maximum(own(a), own(b))
        first.append(Round((), tuple(moved)))
    return Program("prefix-medians", n, words, 1, tuple(first), (0.5 * own(n - 1) + 0.5 * own(n),))
