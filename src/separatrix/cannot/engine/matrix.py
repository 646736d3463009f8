"""The communication matrix of any task at small n: all words of Alice's by all words of Bob's.

Alice holds the positions before a cut, or (for one symbol a token) any positions `alice`; then the claims are about one
attention layer: a message where the token at the query is fixed, or a conversation.

Real parts run over the corners +-e_1. Rows and columns that are equal are kept once. Every bound comes with its
certificate of kind `communication`; a search that finds little says nothing about the task.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, replace
from itertools import combinations, product

import numpy as np

from separatrix.cannot.bound import certificate, log2_sum, need
from separatrix.core.certificate import Certificate
from separatrix.core.domain import Labels, PointerSets, Sequence
from separatrix.core.errors import InputError
from separatrix.core.task import Task

MOST_CELLS = 2**22
MOST_STEPS = 20_000  # of the search for shattered suffixes


@dataclass(frozen=True, slots=True)
class Side:
    """Inputs of one side: tokens (rows, columns[, q]) and real parts (rows, columns, dim) or None."""

    tokens: np.ndarray
    reals: np.ndarray | None

    def __len__(self) -> int:
        return len(self.tokens)

    def __getitem__(self, rows: np.ndarray) -> Side:
        return Side(self.tokens[rows], None if self.reals is None else self.reals[rows])


@dataclass(frozen=True, slots=True)
class Matrix:
    """Distinct rows and columns of the matrix at `cut`, or at the partition `alice` (then `cut` is how many are hers).

    Attributes:
        labels: (prefixes, suffixes) integers; different integers in one column mean answers that a model must tell
            apart, and for class labels equal integers anywhere mean equal answers.
    """

    task: Task
    n: int
    cut: int
    prefixes: Side
    suffixes: Side
    labels: np.ndarray
    alice: tuple[int, ...] | None = None

    @classmethod
    def of(
        cls,
        task: Task,
        n: int,
        cut: int | None = None,
        alice: Iterable[int] | None = None,
        known: dict[int, int] | None = None,
    ) -> Matrix:
        """Evaluates the whole matrix; UnknownError beyond 2^22 entries. `cut` defaults to the task's last split.

        known: positions whose symbol is fixed.
        """
        domain = task.domain(n)
        if known:
            fixed = {p: np.array([s]) for p, s in known.items()}
            domain = replace(domain, alphabets=tuple(fixed.get(p, a) for p, a in enumerate(domain.alphabets)))
        held = None if alice is None else tuple(sorted(alice))
        if held is not None:
            need(domain.reals is None, "partitions are tried for tasks without real parts")
            cut = len(held)
        elif cut is None:
            cut = task.splits(n)[-1] if task.splits(n) else 0
        if not 0 < cut < domain.positions:
            raise InputError(f"cut {cut} must leave a position on both sides of {domain.positions}")
        count = math.prod(len(a) for a in domain.alphabets) << (domain.positions if domain.reals else 0)
        need(count <= MOST_CELLS, f"the matrix has {count} entries; at most {MOST_CELLS} are enumerated")
        need(domain.constraint.kind == "product" and not domain.lengths, "a product domain of one length is needed")
        need(domain.reals is None or domain.reals.kind != "routed", "destinations of real parts are not enumerated")
        order = np.arange(domain.positions)
        if held is not None:
            order = np.array([*held, *(p for p in range(domain.positions) if p not in held)])
        prefixes, suffixes = _side(domain, order[:cut]), _side(domain, order[cut:])
        labels = _labels(task, n, order, cut, prefixes, suffixes)
        _, rows = np.unique(labels, axis=0, return_index=True)
        _, columns = np.unique(labels[rows], axis=1, return_index=True)
        rows, columns = np.sort(rows), np.sort(columns)
        return cls(task, n, cut, prefixes[rows], suffixes[columns], labels[np.ix_(rows, columns)], held)

    def rows(self) -> Certificate:
        """log2 of the number of distinct rows, which is the exact one-way cost; few suffixes that separate them."""
        groups, chosen = np.zeros(len(self.labels), dtype=np.int64), []
        while groups.max(initial=0) + 1 < len(self.labels):
            best, refined = -1, groups
            for column in range(self.labels.shape[1]):
                pairs = groups * (int(self.labels.max()) + 1) + self.labels[:, column]
                _, split = np.unique(pairs, return_inverse=True)
                if split.max() > refined.max() or best < 0:
                    best, refined = column, split
            chosen.append(best)
            groups = refined
        _, rows = np.unique(groups, return_index=True)
        return self._certificate("rows", rows, np.array(chosen or [0]))

    def fooling(self) -> Certificate:
        """A greedy fooling set over every common answer, pairs with rare answers in row and column first."""
        need(isinstance(self.task.outputs(), Labels), "fooling sets are searched for labels")
        best: list[tuple[int, int]] = []
        for value in np.unique(self.labels):
            hit = self.labels == value
            weight = hit.sum(axis=1)[:, None] * hit.sum(axis=0)[None, :]
            alive, found = hit.copy(), []
            for flat in np.argsort(np.where(hit, weight, np.iinfo(np.int64).max), axis=None, kind="stable"):
                i, j = divmod(int(flat), hit.shape[1])
                if not hit[i, j]:
                    break
                if alive[i, j]:
                    found.append((i, j))
                    alive &= ~(hit[i][None, :] & hit[:, j][:, None])
            best = max(best, found, key=len)
        pairs = np.array(best)
        return self._certificate("fooling", pairs[:, 0], pairs[:, 1])

    def rank(self) -> Certificate:
        """The largest rank of a matrix [answer = value] modulo a prime (at most that over the rationals), with factors.

        Over GF(2) it is tried only to spare the other one where it is full already.
        """
        from separatrix.cannot.engine.rank import PRIME, factor_mod

        need(isinstance(self.task.outputs(), Labels), "ranks are taken of labels")
        need(len(self.task.queries(self.n)) == 1, "ranks are taken where one position is scored")
        need(min(self.labels.shape) <= 2**12, "ranks are taken of matrices of at most 2^12 rows or columns")
        best, found = None, -1
        for value in np.unique(self.labels).tolist():
            factors = factor_mod((self.labels == value).astype(np.int64))
            if len(factors[0]) > found:
                best, found = (value, *factors), len(factors[0])
        assert best is not None
        name, rows, columns, lower, upper = best
        answer = self._answer_named(name)
        return self._certificate("rank", rows, columns, {"value": answer, "modulus": PRIME}, lower=lower, upper=upper)

    def _answer_named(self, name: int) -> int:
        """The answer that the label `name` stands for."""
        i, j = np.argwhere(self.labels == name)[0]
        tokens = np.concatenate([self.prefixes.tokens[i], self.suffixes.tokens[j]])[None, np.argsort(self._order())]
        return int(self.task.answer(tokens)[0, -1])

    def _order(self) -> np.ndarray:
        """The positions, Alice's first."""
        positions = self.prefixes.tokens.shape[1] + self.suffixes.tokens.shape[1]
        if self.alice is None:
            return np.arange(positions)
        return np.array([*self.alice, *(p for p in range(positions) if p not in self.alice)])

    def shattered(self) -> Certificate:
        """A large shattered set of suffixes: exhaustive search, cut off after a number of steps."""
        tests = []
        for column in range(self.labels.shape[1]):
            values, counts = np.unique(self.labels[:, column], return_counts=True)
            common = values[np.argsort(-counts, kind="stable")][:8]
            tests += [(column, a, b) for a, b in combinations(common.tolist(), 2)]
        best: list[int] = []
        parts: list[np.ndarray] = [np.arange(len(self.labels))]
        steps = 0

        def search(start: int, chosen: list[int], groups: list[np.ndarray]) -> None:
            nonlocal best, parts, steps
            if len(chosen) > len(best):
                best, parts = list(chosen), groups
            for at in range(start, len(tests)):
                steps += 1
                if steps > MOST_STEPS or 2 ** (len(best) + 1) > len(self.labels):
                    return
                column, a, b = tests[at]
                if chosen and column == tests[chosen[-1]][0]:
                    continue
                split = [g[self.labels[g, column] == value] for g in groups for value in (a, b)]
                if all(map(len, split)):
                    search(at + 1, [*chosen, at], split)

        search(0, [], parts)
        need(bool(best), "no suffix with two answers: nothing is shattered")
        columns = np.array([tests[at][0] for at in best])
        return self._certificate("shattered", np.array([group[0] for group in parts]), columns)

    def _certificate(
        self,
        measure: str,
        rows: np.ndarray,
        columns: np.ndarray,
        more: dict[str, int] | None = None,
        **factors: np.ndarray,
    ) -> Certificate:
        prefixes, suffixes = self.prefixes[rows], self.suffixes[columns]
        arrays = {"prefixes": prefixes.tokens, "suffixes": suffixes.tokens, **factors}
        if prefixes.reals is not None and suffixes.reals is not None:
            arrays |= {"prefix_reals": prefixes.reals, "suffix_reals": suffixes.reals}
        evidence: dict[str, object] = {"measure": measure, **(more or {})}
        bits = log2_sum({len(rows): 1})
        if self.alice is None:
            evidence["cut"] = self.cut
            return certificate(self.task, self.n, "communication", "rnn", "state", bits, evidence, **arrays)
        claim = "exchange" if measure in ("fooling", "rank") else "one-way"
        arrays["alice"] = np.isin(np.arange(len(self._order())), self.alice).astype(np.int64)
        return certificate(self.task, self.n, "communication", "transformer", claim, bits, evidence, **arrays)


def _side(domain: Sequence, places: np.ndarray) -> Side:
    """Every legal choice at these positions, with every choice of signs."""
    choices = []
    for alphabet in (domain.alphabets[p] for p in places.tolist()):
        if isinstance(alphabet, PointerSets):
            choices.append(list(combinations(range(alphabet.n), alphabet.size)))
        else:
            choices.append(np.asarray(alphabet).tolist())
    tokens = np.array(list(product(*choices)), dtype=np.int64)
    if domain.reals is None:
        return Side(tokens, None)
    signs = np.array(list(product((1.0, -1.0), repeat=len(places))))
    reals = np.zeros((len(tokens) * len(signs), len(places), domain.reals.dim))
    reals[:, :, 0] = np.tile(signs, (len(tokens), 1))
    return Side(np.repeat(tokens, len(signs), axis=0), reals)


def _labels(task: Task, n: int, order: np.ndarray, cut: int, prefixes: Side, suffixes: Side) -> np.ndarray:
    scored = [i for i, query in enumerate(task.queries(n)) if query in order[cut:]]
    need(bool(scored), "no scored position is Bob's")
    back = np.argsort(order)
    outputs = task.outputs()
    columns = []
    for j in range(len(suffixes)):
        other = suffixes[np.full(len(prefixes), j)]
        tokens = np.concatenate([prefixes.tokens, other.tokens], axis=1)[:, back]
        reals = None
        if prefixes.reals is not None and other.reals is not None:
            reals = np.concatenate([prefixes.reals, other.reals], axis=1)
        columns.append(task.answer(tokens, reals)[:, scored].reshape(len(prefixes), -1))
    answers = np.stack(columns, axis=1)  # (prefixes, suffixes, entries)
    if isinstance(outputs, Labels):
        _, names = np.unique(answers.reshape(-1, answers.shape[2]), axis=0, return_inverse=True)
        return names.reshape(answers.shape[:2])
    named = np.empty(answers.shape[:2], dtype=np.int64)
    for j in range(answers.shape[1]):
        parts = np.empty((len(answers), answers.shape[2]), dtype=np.int64)
        for e in range(answers.shape[2]):
            values = np.unique(answers[:, j, e])
            steps = np.r_[0, np.cumsum(np.diff(values) > 2 * outputs.eps + 2.0**-28)]
            parts[:, e] = steps[np.searchsorted(values, answers[:, j, e])]
        named[:, j] = np.unique(parts, axis=0, return_inverse=True)[1].reshape(-1)
    return named
