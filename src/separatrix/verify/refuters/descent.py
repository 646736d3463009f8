"""Descent with kept states: small changes of the words that a recurrent model is least sure of.

A change at place j leaves the states before j as they are, so only the rest of the pass is run and counted. Changes are
one other token, two neighbours exchanged, or two other tokens side by side: words that are barely right or barely wrong
for the task lie one exchange apart (a bracket nested too deep, a bit of the other half). Every word that is run joins
the others, and part of the words are fresh samples.
"""

from __future__ import annotations

import numpy as np

from separatrix.core.domain import Labels
from separatrix.core.recurrent import Recurrent
from separatrix.models.recurrent import Runner
from separatrix.verify.refuters.search import Search, registry

FRESH = 2  # samples of a round
NEAR = 32  # changed words of a round
KEPT = 512  # words that are remembered
PARENTS = 12  # narrowest words that are changed
IDLE = 50  # rounds without a new word before there is nothing more to try
MOST_TIMES = 10  # a word is changed so often at most, in turn


@registry.register("descent")
def descent(search: Search) -> str | None:
    """From samples to their neighbours with the least margins, states before a change being known."""
    if not isinstance(search.model.arch, Recurrent) or not isinstance(search.task.outputs(), Labels):
        return "descent with kept states is for recurrent models and class labels"
    words = Words(search)
    words.run(search.sample(4 * FRESH), None, 0)
    idle = 0
    while idle < IDLE:
        before = search.spent
        words.run(search.sample(FRESH), None, 0)
        for parent, place, word in words.neighbours():
            words.run(word[None], parent, place)
        search.progress(f"descent: {search.spent:,.0f} evaluations, least margin {words.margins.min():.3g}")
        idle = idle + 1 if search.spent == before else 0
    return f"no new words among {len(words.known):,}"


class Words:
    """Words that were run, least margin first, with the states before each position."""

    def __init__(self, search: Search) -> None:
        self.search, self.runner = search, Runner(search.model)
        self.words = np.zeros((0, search.positions), dtype=np.int64)
        self.states = np.zeros((0, search.positions, self.runner.arch.state_numbers))
        self.margins = np.zeros(0)
        self.times = np.zeros(0, dtype=np.int64)
        self.known: set[bytes] = set()

    def run(self, tokens: np.ndarray, parent: np.ndarray | None, place: int) -> None:
        """Runs words that agree before `place` with the one whose states are given; raises Found."""
        search, n = self.search, self.search.positions
        tokens = tokens[[word.tobytes() not in self.known for word in tokens]]
        if not len(tokens):
            return
        self.known.update(word.tobytes() for word in tokens)
        states = np.empty((len(tokens), n, self.runner.arch.state_numbers))
        if parent is not None:
            states[:, : place + 1] = parent[: place + 1]
        else:
            states[:, 0] = self.runner.start(len(tokens))
        read = []
        if any(q < place for q in search.queries):  # answers before the change are read again
            place = 0
        for j in range(place, n):
            after, seen = self.runner.step(states[:, j], tokens[:, j], j)
            if j + 1 < n:
                states[:, j + 1] = after
            if j in search.queries:
                read.append(self.runner.read(seen))
        margins = search.judge(tokens, np.stack(read, axis=1), 1 - place / n).min(axis=1)
        self.words, self.states = np.concatenate([self.words, tokens]), np.concatenate([self.states, states])
        self.margins = np.concatenate([self.margins, margins])
        self.times = np.concatenate([self.times, np.zeros(len(tokens), dtype=np.int64)])
        order = np.argsort(self.margins + self.margins.std() * (self.times // MOST_TIMES), kind="stable")[:KEPT]
        self.words, self.states = self.words[order], self.states[order]
        self.margins, self.times = self.margins[order], self.times[order]

    def neighbours(self) -> list[tuple[np.ndarray, int, np.ndarray]]:
        """(states of the word that is changed, first place that changes, changed word), each an input."""
        found, rng = [], self.search.rng
        for _ in range(NEAR):
            at = int(rng.integers(0, min(PARENTS, len(self.words))))
            word = self.words[at].copy()
            place = self._change(word)
            self.times[at] += 1
            if place is not None and self.search.domain.contains(word):
                found.append((self.states[at], place, word))
        return found

    def _change(self, word: np.ndarray) -> int | None:
        """Changes a word in place; the first position that changed, or None."""
        rng, alphabets = self.search.rng, self.search.domain.alphabets
        free = [j for j, a in enumerate(alphabets) if len(a) > 1]
        if not free:
            return None
        cheap = 1.0 / (len(word) - np.array(free))  # late changes cost little
        j = int(rng.choice(free, p=cheap / cheap.sum()))
        k = int(rng.choice(free)) if rng.random() < 0.2 else j + 1
        if rng.random() < 0.6 and k < len(word) and word[j] != word[k]:
            j, k = min(j, k), max(j, k)
            if len(alphabets[j]) == len(alphabets[k]):
                word[j], word[k] = word[k], word[j]
                return j
        for place in (j, j + 1)[: int(rng.integers(1, 3))]:
            if place < len(word) and len(alphabets[place]) > 1:
                alphabet = np.asarray(alphabets[place])
                word[place] = rng.choice(alphabet[alphabet != word[place]])
        return j
