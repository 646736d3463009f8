"""The rule that decides Dyck languages of depth 2 position by position; a step of `Dyck`, not registered."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from separatrix.core.domain import CellGroup, Labels, Sequence
from separatrix.core.errors import InputError
from separatrix.core.task import Task
from separatrix.tasks.flags import DOWN, EMPTY, OPEN, UP


@dataclass(frozen=True)
class DepthTwoFlags(Task):
    """Position i of a word of brackets raises a flag where it breaks the rule of depth 2 (i counts from 1).

    A word of even length N is in the language iff s_1 opens, s_N closes, at odd i > 1 an opener stands behind a closer
    and a closer behind its own opener, and at even i a closer has the type of the last opener at an odd position
    before it (whatever stands between). Where there is no such opener the flag is left open: then s_1 closes.

    >>> DepthTwoFlags(types=2).answer(np.array([[0, 1, 3, 2, 4], [0, 3, 0, 2, 4], [2, 2, 0, 2, 4]]))
    array([[0, 0, 0, 0, 0],
           [0, 1, 0, 0, 0],
           [1, 2, 0, 0, 0]])
    """

    types: int = 2

    name = "dyck-depth-two-flags"
    gloss = "which brackets break the rule of depth 2"
    source = "rule for Dyck-(n,2) behind Bhattamishra, Hahn, Blunsom, Kanade 2024, Section 3"
    length_word = "brackets"
    causal = True

    def domain(self, n: int) -> Sequence:
        if not 2 <= n <= 2**16 or n % 2:
            raise InputError(f"dyck-depth-two-flags: n = {n}; take an even number of brackets, 2 to {2**16}")
        return Sequence((np.arange(2 * self.types),) * n + (np.array([2 * self.types]),), vocabulary=2 * self.types + 1)

    def outputs(self) -> Labels:
        return Labels(3)

    def queries(self, n: int) -> tuple[int, ...]:
        return tuple(range(n + 1))

    def answer(self, tokens: np.ndarray, reals: np.ndarray | None = None) -> np.ndarray:
        rows, positions = tokens.shape
        flags = np.zeros((rows, positions), dtype=np.int64)
        latest = np.full(rows, -1)  # type of the last opener at an odd position
        for j in range(positions - 1):
            own = tokens[:, j]
            opens, kind = own < self.types, own % self.types
            if j == 0:
                flags[:, j] = ~opens
            elif j % 2 == 0:
                before = tokens[:, j - 1]
                flags[:, j] = np.where(opens, before < self.types, before != kind)
            else:
                flags[:, j] = np.where(opens, j == positions - 2, np.where(latest < 0, OPEN, latest != kind))
            if j % 2 == 0:
                latest = np.where(opens, kind, latest)
        return flags

    def cells(self, n: int, query: int) -> Iterator[CellGroup]:
        """By own bracket, and: the one before (odd i), or place and type of the last opener at an odd position."""
        kinds = np.arange(self.types)
        if query == n:
            yield CellGroup(n, 2 * self.types, EMPTY, EMPTY, labels=np.array([DOWN]))
            return
        for own in range(2 * self.types):
            opens, kind = own < self.types, own % self.types
            if query == 0 or (query % 2 and opens):
                up = (query == 0 and not opens) or (query == n - 1 and opens)
                yield CellGroup(query, own, EMPTY, EMPTY, labels=np.array([UP if up else DOWN]))
            elif query % 2 == 0:
                before = np.arange(2 * self.types)[:, None]
                up = (before < self.types) if opens else (before != kind)
                yield CellGroup(query, own, np.full_like(before, query - 1), before, up[:, 0].astype(np.int64))
            else:
                for last in range(0, query, 2):
                    yield CellGroup(
                        query,
                        own,
                        np.full((self.types, 1), last),
                        kinds[:, None],
                        (kinds != kind).astype(np.int64),
                        background=_no_opener_behind(self.types, n, last),
                    )
                nowhere = _no_opener_behind(self.types, n, -2)
                yield CellGroup(query, own, EMPTY, EMPTY, labels=np.array([OPEN]), background=nowhere)

    def sample(
        self, n: int, size: int, rng: np.random.Generator, distribution: str = "uniform"
    ) -> tuple[np.ndarray, None]:
        """`uniform` words."""
        if distribution != "uniform":
            raise InputError(f"dyck-depth-two-flags: distribution {distribution!r} is not known; there is `uniform`")
        words = rng.integers(0, 2 * self.types, (size, n))
        return np.concatenate([words, np.full((size, 1), 2 * self.types)], axis=1), None

    def show(self, tokens: np.ndarray, reals: np.ndarray | None = None) -> str:
        return " ".join(map(str, tokens))


@lru_cache(maxsize=2**12)
def _no_opener_behind(types: int, n: int, last: int) -> tuple[np.ndarray, ...]:
    """Any bracket up to position index `last`; behind it, closers only at the odd positions (even indices)."""
    anything, closers, end = _alphabets(types)
    behind = tuple(anything if j % 2 else closers for j in range(max(last + 1, 0), n))
    return (anything,) * (n - len(behind)) + behind + (end,)


@lru_cache(maxsize=2**12)
def _alphabets(types: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    return np.arange(2 * types), np.arange(types, 2 * types), np.array([2 * types])
