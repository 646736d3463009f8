"""Certificates of kind `communication` by explicit rows: prefixes that Bob's suffixes tell apart, each written down."""

from __future__ import annotations

import numpy as np

from separatrix.cannot.bound import MOST_ENTRIES, certificate, need
from separatrix.cannot.engine.readings import low
from separatrix.core.certificate import Certificate
from separatrix.core.task import Task

MOST_WORK = 2**31  # symbols that the kernel gives to the task


def rows_certificate(task: Task, n: int, cut: int, prefixes: np.ndarray, suffixes: np.ndarray) -> Certificate:
    """The claim that these prefixes (m, cut) have different rows on the suffixes (k, positions - cut)."""
    symbols = prefixes.shape[1] + suffixes.shape[1] + task.domain(n).vocabulary
    need(len(prefixes) > 1, "this bound says nothing here")
    fits = prefixes.size <= MOST_ENTRIES and len(prefixes) * len(suffixes) * symbols <= MOST_WORK
    need(fits, f"a certificate for N = {n} is too large")
    return certificate(
        task,
        n,
        "communication",
        "rnn",
        "state",
        low(len(prefixes)),
        {"measure": "rows", "cut": cut},
        prefixes=prefixes,
        suffixes=suffixes,
    )
