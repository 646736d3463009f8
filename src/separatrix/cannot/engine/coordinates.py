"""Certificates of kind `coordinates` with labels: each of Alice's positions has a word and a query of Bob's own."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from separatrix.cannot.bound import MOST_ENTRIES, certificate, log2_sum, need
from separatrix.core.certificate import Certificate
from separatrix.core.task import Task


def coordinates_certificate(
    task: Task, n: int, cut: int, sets: Mapping[int, Sequence[int]], base: np.ndarray, his: np.ndarray, at: np.ndarray
) -> Certificate:
    """Alice's position p holds any symbol of sets[p], the others before the cut what `base` (cut,) holds.

    his: (u, positions - cut) Bob's tokens for each of the u positions, in order; at: (u,) where he is asked.
    """
    positions = np.array(sorted(sets), dtype=np.int64)
    need(len(positions) > 0, "this bound says nothing here")
    sizes = [len(sets[p]) for p in positions.tolist()]
    need(max(his.size, sum(sizes)) <= MOST_ENTRIES, f"a certificate for N = {n} is too large")
    return certificate(
        task,
        n,
        "coordinates",
        "rnn",
        "state",
        log2_sum({size: sizes.count(size) for size in sorted(set(sizes))}),
        {"cut": cut},
        positions=positions,
        offsets=np.cumsum([0, *sizes]),
        symbols=np.concatenate([np.sort(np.asarray(sets[p], dtype=np.int64)) for p in positions.tolist()]),
        fillers=np.asarray(base, dtype=np.int64),
        suffixes=np.asarray(his, dtype=np.int64),
        queries=np.asarray(at, dtype=np.int64),
    )
