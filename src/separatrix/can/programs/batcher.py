"""Batcher's odd-even merge sort as stages of disjoint comparators, for any number of wires."""

from __future__ import annotations

Comparator = tuple[int, int]  # (low, high): the smaller word goes to `low`


def stages(n: int) -> list[list[Comparator]]:
    """ceil(log2 n)(ceil(log2 n) + 1)/2 stages that sort n words; comparators with wires beyond n are left out.

    That is sound: the missing wires would hold +infinity, which no comparator moves.

    >>> stages(4)
    [[(0, 1), (2, 3)], [(0, 2), (1, 3)], [(1, 2)]]
    """
    out, p = [], 1
    while p < n:
        k = p
        while k >= 1:
            stage = [
                (i + j, i + j + k)
                for j in range(k % p, n - k, 2 * k)
                for i in range(min(k, n - j - k))
                if (i + j) // (2 * p) == (i + j + k) // (2 * p)
            ]
            out.append(stage)
            k //= 2
        p *= 2
    return out
