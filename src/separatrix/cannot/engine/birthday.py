"""Certificates of kind `birthday`: a guess of how suffixes must look so that random prefixes all show different rows.

Suffixes copy prefixes: in order, mirrored, or by their last symbols, with symbols as they are or in reverse order.
"""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np

from separatrix.cannot.bound import certificate, need
from separatrix.cannot.engine.decoding import DELTA, answers_in
from separatrix.core.certificate import Certificate
from separatrix.core.domain import Labels, PointerSets
from separatrix.core.guarantee import statistical
from separatrix.core.seeds import child
from separatrix.core.task import Task
from separatrix.kernel.needs import log2_low

MOST = 2048  # prefixes
TRIED = 96


def birthday_certificate(task: Task, n: int, cut: int, seconds: float = 20.0, delta: float = DELTA) -> Certificate:
    """The claim that log2 m (m - 1) / (2 ln 1/delta) bits cross `cut`; UnknownError where no guess parts prefixes."""
    domain = task.domain(n)
    need(isinstance(task.outputs(), Labels) and domain.reals is None, "rows are compared for labels of symbols")
    need(not any(isinstance(a, PointerSets) for a in domain.alphabets), "one symbol a token is needed")
    need(domain.constraint.kind == "product" and not domain.lengths, "a product domain of one length is needed")
    need(any(q >= cut for q in task.queries(n)), "nothing is scored after the cut")
    alphabets = [np.asarray(a) for a in domain.alphabets]
    rng, rest = child(0, "birthday", task.name, n, cut), domain.positions - cut
    words = np.stack([a[rng.integers(0, len(a), TRIED)] for a in alphabets[:cut]], axis=1)
    base = np.array([a[0] for a in alphabets[cut:]])
    best, most = None, 1
    for copy, letters in _guesses(cut, rest, domain.vocabulary):
        fits = [
            c < 0 or set(letters[alphabets[c]].tolist()) <= set(a.tolist())
            for c, a in zip(copy, alphabets[cut:], strict=True)
        ]
        copied = np.where(fits, copy, -1)
        suffixes = np.where(copied >= 0, letters[words[:, copied]], base)
        tokens = np.concatenate([np.repeat(words, TRIED, axis=0), np.tile(suffixes, (TRIED, 1))], axis=1)
        rows = task.answer(tokens)[:, -1].reshape(TRIED, TRIED)
        found = len(np.unique(rows, axis=0))
        if found > most:
            best, most = (copied, letters), found
    need(best is not None and most == TRIED, "random prefixes are not told apart by copies of them")
    assert best is not None
    m = min(MOST, max(TRIED, math.isqrt(answers_in(task, n, seconds))))
    amount = float(log2_low(max(1, int(m * (m - 1) / 2 / -math.log(delta) * (1 - 2.0**-30))))) * (1 - 2.0**-40)
    evidence = {"cut": cut, "prefixes": m, "suffixes": m, "delta": float(delta).hex()}
    made = certificate(
        task, n, "birthday", "rnn", "state", amount, evidence, copy=best[0].astype(np.int64), letters=best[1], base=base
    )
    return replace(made, guarantee=statistical(delta))


def _guesses(cut: int, rest: int, vocabulary: int) -> list[tuple[np.ndarray, np.ndarray]]:
    """(what each suffix position copies, -1 for nothing; symbol by symbol what it turns into)."""
    same, turned = np.arange(vocabulary), np.arange(vocabulary)[::-1].copy()
    places = np.arange(rest)
    ahead, back, late = places, cut - 1 - places, places + cut - rest
    return [
        (np.where((copy >= 0) & (copy < cut), copy, -1), letters)
        for letters in (same, turned)
        for copy in (ahead, back, late)
    ]
