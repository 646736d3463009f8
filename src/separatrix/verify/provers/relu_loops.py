"""Inner loops of the relu prover for product cells and distinct words, compiled by numba when first used.

`table` is one table of costs (J, S), `mask` what its slots may hold. Plain float64; nothing is trusted.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np

SIGNATURES = {  # one each: what is compiled twice takes seconds twice
    "assigned": "f8(f8[:,::1],b1[:,::1],i8[::1],i8[::1],i8[::1],f8[:,::1],i8[:,::1],f8[:,::1],i8[:,::1])",
    "words": "void(f8[:,:,::1],b1[:,:,::1],i8[::1],i8[::1],i8[::1],f8[::1],i8[:,::1])",
    "narrow": "void(f8[:,:,::1],f8[:,:,:,::1],b1[:,:,::1],i8[::1],i8[::1],f8,"
    "i8[::1],i8[::1],f8[:,::1],f8[:,::1],f8[::1])",
}


def assigned(
    table: np.ndarray,
    mask: np.ndarray,
    kinds: np.ndarray,
    tied: np.ndarray,
    choice: np.ndarray,
    cost: np.ndarray,
    best: np.ndarray,
    duals: np.ndarray,
    paths: np.ndarray,
) -> float:
    """The least sum, -inf where no word was found, and its columns: the Hungarian method on the tied slots.

    Each other slot by itself. kinds (S,): classes, from 0, -1 for none. cost, best (T + 1, K + 1), duals, paths
    (3, .): room to work in.
    """
    slots, columns = table.shape
    rows, classes, total = len(tied), cost.shape[1] - 1, 0.0
    for j in range(slots):
        at, low = 0, np.inf
        for s in range(columns):
            if mask[j, s] and table[j, s] < low:
                at, low = s, table[j, s]
        choice[j] = at
        paths[2, j] = 0
        total += low
    for t in range(rows):
        j = tied[t]
        total -= table[j, choice[j]]
        for c in range(classes + 1):
            cost[t + 1, c] = np.inf
        for s in range(columns):
            c = kinds[s] + 1
            if c > 0 and mask[j, s] and table[j, s] < cost[t + 1, c]:
                cost[t + 1, c], best[t + 1, c] = table[j, s], s
    of_row, price, least, owner, way, used = duals[0], duals[1], duals[2], paths[0], paths[1], paths[2]
    for t in range(rows + 1):
        of_row[t] = 0.0
    for c in range(classes + 1):
        price[c] = 0.0
        owner[c] = 0
    for r in range(1, rows + 1):
        owner[0], last = r, 0
        for c in range(classes + 1):
            least[c] = np.inf
            used[c] = 0
        while True:
            used[last] = 1
            own, step, nearest = owner[last], np.inf, -1
            for c in range(1, classes + 1):
                if used[c] == 0:
                    reduced = cost[own, c] - of_row[own] - price[c]
                    if reduced < least[c]:
                        least[c], way[c] = reduced, last
                    if least[c] < step:
                        step, nearest = least[c], c
            if nearest < 0:
                return -np.inf
            for c in range(classes + 1):
                if used[c] == 1:
                    of_row[owner[c]] += step
                    price[c] -= step
                else:
                    least[c] -= step
            last = nearest
            if owner[last] == 0:
                break
        while last != 0:
            before = way[last]
            owner[last] = owner[before]
            last = before
    for c in range(1, classes + 1):
        if owner[c] > 0:
            choice[tied[owner[c] - 1]] = best[owner[c], c]
            total += cost[owner[c], c]
    return total if total < np.inf else -np.inf  # pyright: ignore[reportReturnType]


def words(
    cost: np.ndarray,
    masks: np.ndarray,
    row: np.ndarray,
    kinds: np.ndarray,
    tied: np.ndarray,
    value: np.ndarray,
    choice: np.ndarray,
) -> None:
    """Fills value (B,) and choice (B, J) of costs (B, J, S) on the parts masks[row]."""
    size = max(cost.shape[1], len(tied), kinds.max() + 1) + 1
    room, best = np.empty((len(tied) + 1, kinds.max() + 2)), np.zeros((len(tied) + 1, kinds.max() + 2), dtype=np.int64)
    duals, paths = np.empty((3, size)), np.empty((3, size), dtype=np.int64)
    for b in range(len(cost)):
        value[b] = assigned(cost[b], masks[row[b]], kinds, tied, choice[b], room, best, duals, paths)


def narrow(
    e: np.ndarray,
    features: np.ndarray,
    masks: np.ndarray,
    row: np.ndarray,
    which: np.ndarray,
    sign: float,
    kinds: np.ndarray,
    tied: np.ndarray,
    shares: np.ndarray,
    most: np.ndarray,
    together: np.ndarray,
) -> None:
    """Narrows shares (B, H) of features (R, H, J, S) number `which`, then all heads `together` (B,), in place.

    most (B, H): the greatest denominators. See `kernel.relu_ranges`.
    """
    heads, slots, columns = e.shape
    size = max(slots, len(tied), kinds.max() + 1) + 1
    room, best = np.empty((len(tied) + 1, kinds.max() + 2)), np.zeros((len(tied) + 1, kinds.max() + 2), dtype=np.int64)
    duals, paths = np.empty((3, size)), np.empty((3, size), dtype=np.int64)
    table, choice = np.empty((slots, columns)), np.empty(slots, dtype=np.int64)
    for b in range(len(row)):
        r, mask = which[b], masks[row[b]]
        total = 0.0
        for h in range(heads):
            for j in range(slots):
                for s in range(columns):
                    table[j, s] = e[h, j, s] * (sign * features[r, h, j, s] - shares[b, h])
            least = assigned(table, mask, kinds, tied, choice, room, best, duals, paths)
            if least > 0:
                shares[b, h] += least / most[b, h]
            total += shares[b, h]
        for j in range(slots):
            for s in range(columns):
                add = 0.0
                for h in range(heads):
                    add += e[h, j, s] * (sign * features[r, h, j, s] - shares[b, h]) / most[b, h]
                table[j, s] = add
        together[b] = total + max(assigned(table, mask, kinds, tied, choice, room, best, duals, paths), 0.0)


@cache
def compiled(name: str) -> Callable[..., Any]:
    """One of the loops; the compiled code is kept beside this file, or where numba keeps its own."""
    from numba import njit

    if name != "assigned":
        globals()["assigned"] = compiled("assigned")
    return njit(SIGNATURES[name], cache=True)({"assigned": _ASSIGNED, "words": words, "narrow": narrow}[name])


def plain(*arrays: np.ndarray) -> list[np.ndarray]:
    """As the signatures want them: contiguous, and writeable."""
    return [np.require(array, requirements=["C", "W"]) for array in arrays]


_ASSIGNED = assigned
