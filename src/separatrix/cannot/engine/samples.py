"""Rows of sampled prefixes, shown different by sampled suffixes: few bits, but proved, for any function.

Words of independent symbols at one frequency all look alike to a function that counts; so each word has frequencies of
its own (uniform on the simplex: for two symbols every count is equally likely), and half of the words stand in runs.
"""

from __future__ import annotations

import math

import numpy as np

from separatrix.cannot.bound import need
from separatrix.cannot.engine.decoding import answers_in
from separatrix.cannot.engine.rows import rows_certificate
from separatrix.core.certificate import Certificate
from separatrix.core.domain import Labels, PointerSets
from separatrix.core.seeds import child
from separatrix.core.task import Task

MOST = 1024  # prefixes, and suffixes


def sampled_rows(task: Task, n: int, cut: int, seconds: float = 10.0) -> Certificate:
    """The claim that as many bits as the log2 of the different rows cross `cut`; UnknownError where all are equal."""
    domain = task.domain(n)
    need(isinstance(task.outputs(), Labels) and domain.reals is None, "rows are compared for labels of symbols")
    need(not any(isinstance(a, PointerSets) for a in domain.alphabets), "one symbol a token is needed")
    need(domain.constraint.kind == "product" and not domain.lengths, "a product domain of one length is needed")
    after = [k for k, query in enumerate(task.queries(n)) if query >= cut]
    need(bool(after), "nothing is scored after the cut")
    alphabets, rng = [np.asarray(a) for a in domain.alphabets], child(0, "rows", task.name, n, cut)
    count = min(MOST, max(64, math.isqrt(answers_in(task, n, seconds))))
    prefixes, suffixes = (words(part, count, rng) for part in (alphabets[:cut], alphabets[cut:]))
    groups, kept = np.zeros(len(prefixes), dtype=np.int64), []
    for at, suffix in enumerate(suffixes):
        tokens = np.concatenate([prefixes, np.broadcast_to(suffix, (len(prefixes), len(suffix)))], axis=1)
        seen = task.answer(tokens)[:, after]
        _, split = np.unique(np.column_stack([groups, seen]), axis=0, return_inverse=True)
        if split.max() > groups.max():
            groups, kept = split, [*kept, at]
    need(bool(kept), "all sampled prefixes show the same row")
    _, rows = np.unique(groups, return_index=True)
    return rows_certificate(task, n, cut, prefixes[rows], suffixes[kept])


def words(alphabets: list[np.ndarray], count: int, rng: np.random.Generator) -> np.ndarray:
    """(at most count, positions) different words, a half of them in runs."""
    most = max(len(a) for a in alphabets)
    shares = rng.dirichlet(np.ones(most), size=count).cumsum(axis=1)
    drawn = (rng.random((count, len(alphabets), 1)) > shares[:, None, :-1]).sum(axis=2)
    drawn[::2].sort(axis=1)
    made = np.stack([a[drawn[:, i] % len(a)] for i, a in enumerate(alphabets)], axis=1)
    return np.unique(made, axis=0)
