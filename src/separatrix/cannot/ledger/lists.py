"""Lists of real numbers: what a state keeps of them to answer within eps, in numbers that eps tells apart.

K numbers from low to high that lie more than 2 eps apart are told apart where an answer is one of them. Sums count the
whole width of N - 1 numbers; least and greatest are one number; the greatest sum of a run is two, the best so far and
the best that ends here; sorting and prefix medians are all of half of the numbers, up to their order, for Bob's numbers
are the least or the greatest there are, and then his positions answer with Alice's by rank. Of routed numbers half can
be sent behind the cut.

The answers that count are those of the last positions. Where a task asks its earlier positions about numbers behind
them (sorting, total, least, greatest), no model of one pass answers these at all, whatever its size.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from fractions import Fraction

import numpy as np

from separatrix.cannot.bound import STATE, Bound, below, certificate, log2_sum, need, registry, state_violated
from separatrix.cannot.engine.readings import low
from separatrix.core.certificate import Certificate
from separatrix.core.errors import InputError
from separatrix.core.task import Task
from separatrix.tasks.list_reductions import Greatest, Least, Total
from separatrix.tasks.maximum_subarray import MaximumSubarray
from separatrix.tasks.prefix_extremes import PrefixMaxima, PrefixMinima
from separatrix.tasks.prefix_medians import PrefixMedians
from separatrix.tasks.prefix_sums import PrefixSums
from separatrix.tasks.real_list import RealList
from separatrix.tasks.routing import Routing
from separatrix.tasks.sorting import Sorting

MOST_LEVELS = 2**53
MOST_N, MOST_SUMS, MOST_RUNS = 2**12, 2**9, 2**7  # for which certificates are made
EXACT = 2**10  # numbers up to which multisets are counted exactly
MYHILL = "Myhill 1957, Nerode 1958, with answers within eps"


def box(task: Task) -> tuple[float, float, float]:
    """(low, high, eps) of one of these tasks; InputError for others."""
    if isinstance(task, PrefixSums):
        return task.low, task.high, task.eps
    if isinstance(task, RealList):
        return -task.scale, task.scale, task.eps
    raise InputError(f"this bound is about lists of real numbers, not {task.name}")


def levels(task: Task, width: Fraction, numbers: int = 1) -> tuple[int, float]:
    """(K, step): so many levels within `width`, where a step in each of so many numbers changes an answer enough."""
    gap = 2 * Fraction(box(task)[2])
    step = float(gap / numbers)
    while not numbers * Fraction(step) > gap:
        step = math.nextafter(step, math.inf)
    return min(1 + math.floor(width / Fraction(step)), MOST_LEVELS), step


def whole(task: Task) -> Fraction:
    """high - low."""
    bottom, top, _ = box(task)
    return Fraction(top) - Fraction(bottom)


def directions(task: Task, n: int, cut: int, **arrays: np.ndarray) -> Certificate:
    """The claim of the product of the levels."""
    amount = log2_sum({int(k): arrays["levels"].tolist().count(k) for k in np.unique(arrays["levels"])})
    return certificate(task, n, "lists", "rnn", "state", amount, {"by": "directions", "cut": cut}, **arrays)


def sum_levels(task: Task, n: int) -> tuple[int, float]:
    """Levels of the sum of N - 1 numbers."""
    return levels(task, whole(task), n - 1) if n >= 2 else (1, 0.0)


def sum_bits(task: Task, n: int) -> float:
    """log2 ceil((N - 1)(high - low)/(2 eps)), for every coordinate."""
    return log2_sum({sum_levels(task, n)[0]: task.dim if isinstance(task, PrefixSums) else 1})


def sum_certificate(task: Task, n: int) -> Certificate:
    """All numbers rise together."""
    (k, step), (bottom, *_) = sum_levels(task, n), box(task)
    need(2 <= n <= MOST_SUMS and k >= 2, f"this bound says nothing here, or a certificate for N = {n} is too large")
    need(not isinstance(task, PrefixSums) or task.dim == 1, "a certificate is made for one coordinate")
    return directions(
        task,
        n,
        n - 1,
        base=np.full(n - 1, bottom),
        directions=np.full((1, n - 1), step),
        levels=np.array([k]),
        words=np.full((1, 1), bottom),
        queries=np.array([n - 1]),
        winners=np.array([0]),
    )


def extreme_bits(task: Task, n: int) -> float:
    """log2 ceil((high - low)/(2 eps))."""
    return log2_sum({levels(task, whole(task))[0]: 1}) if n >= 2 else 0.0


def extreme_certificate(task: Task, n: int) -> Certificate:
    """The first number is any, the others are out of the way."""
    (k, step), (bottom, top, _) = levels(task, whole(task)), box(task)
    need(2 <= n <= MOST_SUMS and k >= 2, f"this bound says nothing here, or a certificate for N = {n} is too large")
    aside = top if isinstance(task, Least | PrefixMinima) else bottom
    return directions(
        task,
        n,
        n - 1,
        base=np.array([bottom, *[aside] * (n - 2)]),
        directions=step * np.eye(1, n - 1),
        levels=np.array([k]),
        words=np.full((1, 1), aside),
        queries=np.array([n - 1]),
        winners=np.array([0]),
    )


def run_levels(task: Task, n: int) -> tuple[int, float]:
    """Levels of each of the two sums of g = floor(N/3) numbers, over half of what these can be."""
    return levels(task, whole(task) / 4, n // 3) if n >= 3 else (1, 0.0)


def run_bits(task: Task, n: int) -> float:
    """2 log2 ceil(g scale/(4 eps)), g = floor(N/3)."""
    return log2_sum({run_levels(task, n)[0]: 2})


def run_certificate(task: Task, n: int) -> Certificate:
    """g numbers rise to B in (g s/2) .. g s, g fall to E in 0 .. g s/2; Bob's g fall, which tells B, or rise: E + g s.

    The winner among the runs (a, b) is number b (b + 1)/2 + a.
    """
    (k, step), g, (_, top, _) = run_levels(task, n), n // 3, box(task)
    need(3 <= n <= MOST_RUNS and k >= 2, f"this bound says nothing here, or a certificate for N = {n} is too large")
    zeros, ones, spare = np.zeros(g), np.ones(g), np.zeros(n - 3 * g)
    peak = len(spare) + g - 1  # where the first run ends
    return directions(
        task,
        n,
        n - g,
        base=np.concatenate([spare, ones * top / 2, -ones * top / 2]),
        directions=step * np.array([[*spare, *ones, *-ones], [*spare, *zeros, *ones]]),
        levels=np.array([k, k]),
        words=top * np.array([-ones, ones]),
        queries=np.array([n - 1, n - 1]),
        winners=np.array([peak * (peak + 1) // 2 + len(spare), (n - 1) * n // 2]),
    )


def multisets(k: int, count: int) -> float:
    """log2 C(K + c - 1, c), from below: exactly to 1024 numbers, then by entropy (MacWilliams and Sloane, ch. 10)."""
    if k < 2 or count < 1:
        return 0.0
    m = k + count - 1
    if count <= EXACT:
        return low(math.comb(m, count))
    part = count / m
    entropy = count * math.log2(m / count) - (m - count) * math.log1p(-part) / math.log(2)
    return below(entropy - math.log2(8 * count * (1 - part)) / 2)


def order_bits(cut: Callable[[int], int]) -> Callable[[Task, int], float]:
    """All numbers before the cut, up to their order."""
    return lambda task, n: multisets(levels(task, whole(task))[0], cut(n)) if n >= 2 else 0.0


def order_certificate(task: Task, n: int, cut: int, words: np.ndarray, reads: list[tuple[int, int]]) -> Certificate:
    """The claim of the multisets of levels."""
    (k, step), (bottom, *_) = levels(task, whole(task)), box(task)
    need(k >= 2 and cut <= EXACT, f"this bound says nothing here, or a certificate for N = {n} is too large")
    evidence = {"by": "order", "cut": cut, "levels": k}
    arrays = {"grid": np.array([bottom, step]), "words": words, "reads": np.array(reads, dtype=np.int64)}
    return certificate(task, n, "lists", "rnn", "state", multisets(k, cut), evidence, **arrays)


def sorting_certificate(task: Task, n: int) -> Certificate:
    """Bob's are the least, so that the last floor(N/2) positions answer with Alice's."""
    need(2 <= n <= MOST_N, f"this bound says nothing here, or a certificate for N = {n} is too large")
    cut = n // 2
    return order_certificate(task, n, cut, np.full((1, n - cut), box(task)[0]), [(0, q) for q in range(n - cut, n)])


def medians(n: int) -> int:
    """Numbers before the cut."""
    return (n + 1) // 2 if n >= 3 else 0


def medians_certificate(task: Task, n: int) -> Certificate:
    """Bob's are the least, or the greatest; for an odd cut also one of each, which leaves the middle."""
    need(3 <= n <= MOST_N, f"this bound says nothing here, or a certificate for N = {n} is too large")
    (bottom, top, _), cut = box(task), medians(n)
    words = np.repeat(np.array([[bottom], [top], [bottom]]), n - cut, axis=1)
    words[2, 0] = top
    reads = [(word, q) for word in (0, 1) for q in range(cut, n) if q % 2 == 0]
    return order_certificate(task, n, cut, words, [*reads, (2, cut + cut % 2)])


def payload_bits(task: Task, n: int) -> float:
    """floor(N/2) log2 ceil(s/eps)."""
    return log2_sum({levels(task, whole(task))[0]: n // 2})


def payload_certificate(task: Task, n: int) -> Certificate:
    """The first floor(N/2) payloads go behind the cut, the others before it."""
    (k, step), (bottom, *_), cut = levels(task, whole(task)), box(task), n // 2
    need(2 <= n <= 2**16 and k >= 2, f"this bound says nothing here, or a certificate for N = {n} is too large")
    arrays = {"grid": np.array([bottom, step]), "destinations": (np.arange(n) + n - cut) % n}
    evidence = {"by": "payloads", "cut": cut, "levels": k}
    return certificate(task, n, "lists", "rnn", "state", payload_bits(task, n), evidence, **arrays)


def vacuous(bits: Callable[[Task, int], float], fewest: int) -> Callable[[Task, int], str | None]:
    """A sentence for short lists, and where eps is as large as the numbers."""

    def says(task: Task, n: int) -> str | None:
        return None if bits(task, n) > 0 else f"the argument needs N >= {fewest}, and eps below the size of the numbers"

    return says


LISTS = (
    (Total, "log₂ ⌈(N − 1) s/eps⌉, for numbers from −s to s", 2, sum_bits, sum_certificate),
    (PrefixSums, "log₂ ⌈(N − 1)(high − low)/(2 eps)⌉", 2, sum_bits, sum_certificate),
    *(
        (kind, "log₂ ⌈s/eps⌉, for numbers from −s to s", 2, extreme_bits, extreme_certificate)
        for kind in (PrefixMinima, PrefixMaxima, Least, Greatest)
    ),
    (MaximumSubarray, "2 log₂ ⌈g s/(4 eps)⌉, g = ⌊N/3⌋, for numbers from −s to s", 3, run_bits, run_certificate),
    (
        Sorting,
        "log₂ C(K + c − 1, c), c = ⌊N/2⌋, K = ⌈s/eps⌉",
        2,
        order_bits(lambda n: n // 2),
        sorting_certificate,
    ),
    (Routing, "⌊N/2⌋ log₂ ⌈s/eps⌉, for numbers from −s to s", 2, payload_bits, payload_certificate),
    (
        PrefixMedians,
        "log₂ C(K + c − 1, c), c = ⌈N/2⌉, K = ⌈s/eps⌉",
        3,
        order_bits(medians),
        medians_certificate,
    ),
)
for kind, expression, fewest, amount, made in LISTS:
    registry.register(f"{kind.name}-recurrent")(
        Bound(
            name=f"{kind.name}-recurrent",
            task=kind.name,
            arch="rnn",
            source=MYHILL,
            expression=expression,
            measure="state",
            merge=STATE,
            bits=amount,
            certificate=made,
            violated=state_violated,
            vacuous=vacuous(amount, fewest),
            status="derived here",
        )
    )
