"""The baselines: random testing, and changes of one token at a time towards smaller margins."""

from __future__ import annotations

import numpy as np

from separatrix.core.domain import Labels, PointerSets
from separatrix.verify.refuters.search import Search, registry

WIDTH = 16  # changes tried at each step
PATIENCE = 4  # steps without gain before a restart


@registry.register("random")
def random(search: Search) -> str | None:
    """Inputs drawn from the task's distribution, one after the other."""
    if not isinstance(search.task.outputs(), Labels):
        return "random testing is for class labels"
    while True:
        search.margins(search.sample(search.batch))


@registry.register("coordinate")
def coordinate(search: Search) -> str | None:
    """From the narrowest of a few samples, always to the best of some single changes of tokens; then again."""
    if not isinstance(search.task.outputs(), Labels):
        return "coordinate search is for class labels"
    while True:
        tokens = search.sample(WIDTH)
        margin = search.margins(tokens).min(axis=1)
        best, value, idle = tokens[margin.argmin()], margin.min(), 0
        while idle < PATIENCE:
            near = changed(search, np.tile(best, (WIDTH, 1)))
            margin = search.margins(near).min(axis=1) if len(near) else np.array([np.inf])
            idle += 1
            if margin.min() < value:
                best, value, idle = near[margin.argmin()], margin.min(), 0


def changed(search: Search, tokens: np.ndarray, end: int | None = None) -> np.ndarray:
    """Each word (batch, positions) with one token before `end` changed; words that are no inputs are left out."""
    tokens = tokens.copy()
    places = [j for j in range(end or search.positions) if len(search.domain.alphabets[j]) > 1]
    if not places:
        return tokens[:0]
    for word, j in zip(tokens, search.rng.choice(places, len(tokens)), strict=True):
        alphabet = search.domain.alphabets[j]
        assert not isinstance(alphabet, PointerSets)
        word[j] = search.rng.choice(alphabet[alphabet != word[j]])
    return tokens[[search.domain.contains(word) for word in tokens]]
