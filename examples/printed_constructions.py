"""Five printed constructions, run as printed and as repaired (docs/errata says what text was read).

    python examples/printed_constructions.py

Every line says what fails, how often or by how much, and what the repaired form does on the same inputs. The weights
that we build instead are in `separatrix list witnesses`.
"""

from __future__ import annotations

import math
import sys

import numpy as np

from separatrix.tasks.k_hop import KHop, doublings

GRID = 2  # values are multiples of N^-2, as in the papers' p = O(log N) bits


def last_occurrence(words: np.ndarray, symbols: int, spacing: int) -> float:
    """Share of (word, position) at which the head looks at a wrong place (Sanford et al. 2024, Lemma D.2).

    Position j with the symbol a before it has its key at the angle 2 pi (spacing a + j) / (spacing |Sigma|); position i
    with symbol b asks at (spacing b + i); the start has the constant score of half a step less than N steps. Exact
    scores, hard maximum: `spacing` N is printed, 2 N is the repair.
    """
    batch, n = words.shape
    turn = 2 * math.pi / (spacing * symbols)
    at = np.arange(n)
    asked = turn * (spacing * words + at)
    held = turn * (spacing * np.roll(words, 1, axis=1) + at)
    score = np.cos(asked[:, :, None] - held[:, None, :])
    score[:, at[:, None] < at[None, :]] = -2.0  # causal
    score[:, :, 0] = math.cos(turn * (n - 0.5))  # the start: nothing stands before the first symbol
    found = score.argmax(axis=2)
    wanted = np.zeros((batch, n), dtype=np.int64)
    for i in range(n):
        for j in range(1, i + 1):
            wanted[:, i] = np.where(words[:, j - 1] == words[:, i], j, wanted[:, i])
    return float((found != wanted).mean())


def printed_hops(k: int) -> int:
    """How often the printed recursion hops: bit j of k, of weight 2^j, composes with 2^(j-1) hops (j >= 1).

    >>> [printed_hops(k) for k in (1, 2, 3, 4, 7)]
    [1, 1, 2, 2, 4]
    """
    return (k & 1) + sum(2 ** (j - 1) for j in range(1, k.bit_length()) if k >> j & 1)


def repaired_hops(k: int) -> int:
    """How often the repaired one hops, from pairs (a, a - 1) to (2a, 2a - 1) or (2a - 1, 2a - 2)."""
    hops, less = 1, 0
    for short in doublings(k):
        hops, less = (less + hops, less + less) if short else (2 * hops, less + hops)
    return hops


def wrong_hops(k: int, hops: int, words: np.ndarray, symbols: int) -> float:
    """Share of the positions at which so many hops do not answer k-hop."""
    wanted = KHop(k, symbols).answer(words)
    found = KHop(hops, symbols).answer(words) if hops else words
    return float((found != wanted).mean())


def equality_leak(n: int, eta: float) -> float:
    """What the N - 1 others weigh together where the target scores eta / 4 and they -eta / 4."""
    return (n - 1) / (math.exp(eta / 2) + n - 1)


def rounded_down(weight: float, n: int) -> float:
    """A weight on the grid of multiples of N^-GRID, rounded down as the text says."""
    return math.floor(weight * n**GRID) / n**GRID


def code_length(n: int, margin: float) -> int:
    """Entries of random codes with inner products at most margin/100 (Hoeffding, 2N vectors, chance 1/2)."""
    return math.ceil(2 * (100 / margin) ** 2 * math.log(2 * n * (2 * n - 1)))


def main() -> int:
    """Exit status 0: every printed form fails, and every repaired one does not."""
    rng, good = np.random.default_rng(0), True
    print("Last occurrence: share of positions that look at a wrong place")
    for n, symbols in ((10, 4), (50, 4), (50, 20), (100, 50)):
        words = rng.integers(0, symbols, (200, n))
        printed, repaired = (last_occurrence(words, symbols, spacing) for spacing in (n, 2 * n))
        good &= printed > 0.01 and repaired == 0
        print(f"  N = {n}, {symbols} symbols: {printed:.2f} with angles N apart, {repaired:.2f} with 2N")
    print("Hop recursion: share of wrong answers, N = 100, 4 symbols")
    words = rng.integers(0, 4, (200, 100))
    for k in (1, 2, 3, 5, 16):
        printed, repaired = (wrong_hops(k, hops(k), words, 4) for hops in (printed_hops, repaired_hops))
        good &= (printed > 0.1) == (k > 1) and repaired == 0
        print(f"  k = {k}: {printed:.2f} as printed ({printed_hops(k)} hops), {repaired:.2f} repaired")
    n = 64
    allowed = 1 / (2 * n**GRID)
    print(f"Equality, N = {n}: the others may weigh {allowed:.2g} together")
    for who, eta in (
        ("closing sentence", math.log(n) + GRID * math.log(2 * n)),
        ("proof", 2 * math.log((n - 1) * (2 * n**GRID - 1))),
    ):
        leak = equality_leak(n, eta)
        good &= (leak <= allowed * 1.000001) == (who == "proof")
        down = rounded_down(1 - leak, n)
        good &= down < 1
        print(f"  {who}: eta = {eta:.1f} leaves {leak:.2g}; rounded down the target weighs {down:.6f}, never 1")
    print("Nearest neighbour: entries of a code")
    for n, margin in ((32, 1 / 3), (100, 0.1)):
        print(f"  N = {n}, margin {margin:.2g}: {code_length(n, margin):,}; the induction-style net has no codes")
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
