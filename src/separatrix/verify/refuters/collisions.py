"""State collisions: two prefixes that a recurrent model can hardly tell apart, and a suffix that needs the difference.

Whatever has the same state goes the same way: if the answers to x s and y s differ and the states after x and y are
equal, the model errs on one of them (Bhattamishra et al. 2024, Theorem 2, read as a search). Pairs with nearly equal
states are run in the order of their distance. A state of p bits in all collides exactly among about 2^(p/2) prefixes
(birthday), and sooner where states are not uniform.
"""

from __future__ import annotations

import numpy as np

from separatrix.core.domain import Labels
from separatrix.core.recurrent import Recurrent
from separatrix.models.recurrent import Runner
from separatrix.verify.refuters.baselines import changed
from separatrix.verify.refuters.search import Search, registry

FIRST, MOST = 16, 2**17  # prefixes of the first round, and of the last
POOL = 256  # suffixes on which prefixes are compared
DENSE = 2048  # up to so many prefixes all distances are computed
NEIGHBOURS = 8  # of each prefix, above
MOST_SUFFIXES = 8  # of one pair
KIN, KEPT = 4, 1024  # changes of one narrow word in a round; narrow words that are kept
WORDS = 2**16  # answered at a time


@registry.register("collisions")
def collisions(search: Search) -> str | None:
    """Prefixes whose states are near each other, a suffix on which they must part, both words run; more each round."""
    if not isinstance(search.model.arch, Recurrent) or not isinstance(search.task.outputs(), Labels):
        return "collisions are for recurrent models and class labels"
    if any(q < search.positions - 1 for q in search.queries):
        return "collisions are sought where the last position is scored"
    cuts = [cut for cut in search.task.splits(search.n) if 0 < cut < search.positions]
    if not cuts:
        return "there is no cut to try"
    tables = [Prefixes(search, cut) for cut in sorted({cuts[len(cuts) // 2], cuts[-1]})]
    size = FIRST
    while size <= MOST:
        grown = [table.grow(size) for table in tables]
        tried = [table.try_pairs() for table in tables]
        if not any(grown + tried):
            break
        size *= 2
        search.progress(f"collisions: {size:,} prefixes, {search.spent:,.0f} evaluations")
    return f"nothing found among {sum(len(table.words) for table in tables):,} prefixes"


class Prefixes:
    """Distinct prefixes of one length, each with the suffix it was drawn with, and the states after them."""

    def __init__(self, search: Search, cut: int) -> None:
        self.search, self.cut, self.runner = search, cut, Runner(search.model)
        self.words = np.zeros((0, search.positions), dtype=np.int64)
        self.states = np.zeros((0, self.runner.arch.state_numbers))
        self.known: set[bytes] = set()
        self.tried: set[tuple[int, int]] = set()
        self.narrow = self.words[:0]  # words that were run, least margin first
        self.margins = np.zeros(0)
        self.affordable = 0.0  # evaluations that the last prefixes took: as many go into suffixes

    def grow(self, size: int) -> bool:
        """Draws up to `size` prefixes, half of them by single changes of narrow words; whether there are new ones."""
        drawn = self.search.sample(max(1, (size - len(self.words) + 1) // 2))
        basis = np.concatenate([np.repeat(self.narrow[: 1 + len(drawn) // KIN], KIN, axis=0), drawn])[: len(drawn)]
        fresh = []
        for word in np.concatenate([drawn, changed(self.search, basis, self.cut)]):
            key = word[: self.cut].tobytes()
            if key not in self.known:
                self.known.add(key)
                fresh.append(word)
        if not fresh:  # all prefixes are known: more pairs of the same
            self.affordable = 2 * len(self.words) * self.cut / self.search.positions
            return False
        words = np.array(fresh)
        self.affordable = len(words) * self.cut / self.search.positions
        self.search.spend(self.affordable)
        states = self.runner.run(self.runner.start(len(words)), words[:, : self.cut])
        self.words, self.states = np.concatenate([self.words, words]), np.concatenate([self.states, states])
        return True

    def try_pairs(self) -> bool:
        """Runs the nearest pairs that some suffix of the pool parts, with such suffixes; whether there were any."""
        search, cut = self.search, self.cut
        rest = 1 - cut / search.positions
        count, each = (
            max(1, int(self.affordable / (2 * rest))),
            max(1, min(MOST_SUFFIXES, int(cut / search.positions / rest))),
        )
        if len(self.words) < 2:
            return False
        pool = search.rng.permutation(len(self.words))[:POOL]
        _, first = np.unique(self.words[pool, cut:], axis=0, return_index=True)
        suffixes = self.words[pool[np.sort(first)], cut:]
        answers = self.answers(suffixes)
        kind = np.unique(answers, axis=0, return_inverse=True)[1].reshape(-1)
        pairs = [pair for pair in self.near(kind, 2 * count) if pair not in self.tried][:count]
        if not pairs:
            return False
        self.tried.update(pairs)
        words, states = [], []
        for a, b in pairs:
            differ = np.flatnonzero((answers[a] != answers[b]) & (answers[a] >= 0) & (answers[b] >= 0))
            for suffix in suffixes[differ[:each]]:
                words += [np.concatenate([self.words[i, :cut], suffix]) for i in (a, b)]
                states += [self.states[a], self.states[b]]
        if words:
            tokens = np.array(words)
            logits = self.runner.outputs(np.array(states), tokens[:, cut:], cut, search.queries)
            margins = search.judge(tokens, logits, rest).min(axis=1)
            self.margins = np.concatenate([self.margins, margins])
            self.narrow = np.concatenate([self.narrow, tokens])[np.argsort(self.margins)[:KEPT]]
            self.margins = np.sort(self.margins)[:KEPT]
        return True

    def answers(self, suffixes: np.ndarray) -> np.ndarray:
        """(prefixes, suffixes) what the task answers; -1 where the two make no input."""
        rows, search = [], self.search
        step = max(1, WORDS // len(suffixes))
        for start in range(0, len(self.words), step):
            some = self.words[start : start + step, : self.cut]
            whole = np.concatenate([np.repeat(some, len(suffixes), axis=0), np.tile(suffixes, (len(some), 1))], axis=1)
            found = search.task.answer(whole)[:, -1]
            if search.domain.constraint.kind != "product":
                found = np.where([search.domain.contains(word) for word in whole], found, -1)
            rows.append(found.reshape(len(some), len(suffixes)))
        return np.concatenate(rows)

    def near(self, kind: np.ndarray, count: int) -> list[tuple[int, int]]:
        """Up to `count` pairs of different kinds, nearest states first, each number scaled to spread 1."""
        spread = self.states.std(axis=0)
        states = self.states / np.where(spread > 0, spread, 1.0)
        if len(states) <= DENSE:
            square = (states**2).sum(axis=1)
            distance = np.maximum(square[:, None] + square[None] - 2 * states @ states.T, 0.0)
            distance[(kind[:, None] == kind[None]) | ~np.tri(len(kind), k=-1, dtype=bool)] = np.inf
            flat = distance.ravel()
            best = np.argpartition(flat, min(count, len(flat) - 1))[:count]
            best = best[np.argsort(flat[best], kind="stable")]
            return [divmod(int(i), len(kind)) for i in best[np.isfinite(flat[best])]]
        order = np.lexsort(self.states.T)
        same = (self.states[order][1:] == self.states[order][:-1]).all(axis=1) & (kind[order][1:] != kind[order][:-1])
        exact = [(int(max(p)), int(min(p))) for p in zip(order[1:][same], order[:-1][same], strict=True)]
        if len(exact) >= count:
            return exact[:count]
        from scipy.spatial import KDTree

        distance, index = KDTree(states).query(states, k=NEIGHBOURS + 1)
        first = np.repeat(np.arange(len(states)), NEIGHBOURS + 1)
        distance, index = np.asarray(distance).ravel(), np.asarray(index).ravel()
        fine = kind[first] != kind[index]
        best = np.argsort(distance[fine], kind="stable")[:count]
        pairs = zip(first[fine][best].tolist(), index[fine][best].tolist(), strict=True)
        return list(dict.fromkeys(exact + [(max(p), min(p)) for p in pairs]))[:count]
