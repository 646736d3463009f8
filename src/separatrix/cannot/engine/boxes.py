"""Certificates of kind `boxes`: positions of Alice's that Bob can read one by one, wherever they stand."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from separatrix.cannot.bound import MOST_ENTRIES, certificate, log2_sum, need
from separatrix.core.certificate import Certificate
from separatrix.core.task import Task


def boxes_certificate(
    task: Task,
    n: int,
    query: int,
    sets: Mapping[int, Sequence[int]],
    words: np.ndarray,
    cut: int | None = None,
    owners: np.ndarray | None = None,
) -> Certificate:
    """Alice's position p holds any symbol of sets[p]; row w of `words` (w, positions) asks about her owners[w]-th one.

    Without `owners` there is one word for each of her positions, in order.

    With a `cut` the claim is about the state of recurrent models there, without one about a one-way message to the
    party of the query. What `words` hold at Alice's positions does not matter.
    """
    positions = np.array(sorted(sets), dtype=np.int64)
    need(len(positions) > 0, "this bound says nothing here")
    need(words.size <= MOST_ENTRIES, f"a certificate for N = {n} is too large")
    sizes = [len(sets[p]) for p in positions.tolist()]
    words = words.astype(np.int64)
    words[:, positions] = -1
    amount = log2_sum({size: sizes.count(size) for size in sorted(set(sizes))})
    state = cut is not None
    return certificate(
        task,
        n,
        "boxes",
        "rnn" if state else "transformer",
        "state" if state else "one-way",
        amount,
        {"query": query, "cut": cut} if state else {"query": query},
        positions=positions,
        offsets=np.cumsum([0, *sizes]),
        symbols=np.concatenate([np.sort(np.asarray(sets[p], dtype=np.int64)) for p in positions.tolist()]),
        words=words,
        owners=np.arange(len(words)) if owners is None else owners.astype(np.int64),
    )
