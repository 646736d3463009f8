"""Reachable states of a model whose state is rounded: every state that some prefix leads to, until none is new.

Two prefixes are one node when they end in the same state and the task answers alike on the same suffixes. Two that end
in the same state and are answered differently are a failing input at once; at the last position every node is run.
When no list was cut short and the suffixes are all there are, nothing found means that the model is right.
"""

from __future__ import annotations

import itertools

import numpy as np

from separatrix.core.domain import Labels, PointerSets
from separatrix.core.recurrent import FixedPoint, Recurrent
from separatrix.models.recurrent import Runner
from separatrix.verify.refuters.search import Search, registry

MOST_NODES = 2048
SUFFIXES = 64


@registry.register("reachable")
def reachable(search: Search) -> str | None:
    """Breadth first through the states that prefixes of each length lead to."""
    arch = search.model.arch
    if not isinstance(arch, Recurrent) or not isinstance(arch.state, FixedPoint):
        return "reachable states are listed where a recurrent model's state is rounded"
    if not isinstance(search.task.outputs(), Labels) or any(q < search.positions - 1 for q in search.queries):
        return "reachable states are listed where the last position is scored"
    runner, whole = Runner(search.model), True
    words, states = np.zeros((1, 0), dtype=np.int64), runner.start(1)
    for j in range(search.positions):
        alphabet = search.domain.alphabets[j]
        assert not isinstance(alphabet, PointerSets)
        words = np.concatenate(
            [np.repeat(words, len(alphabet), axis=0), np.tile(alphabet, len(words))[:, None]], axis=1
        )
        states = np.repeat(states, len(alphabet), axis=0)
        search.spend(len(words) / search.positions)
        states, seen = runner.step(states, words[:, -1], j)
        if j == search.positions - 1:
            legal = [search.domain.contains(word) for word in words]
            search.judge(words[legal], runner.read(seen[legal])[:, None], 0.0)
            break
        words, states, cut = _merged(search, runner, words, states)
        whole = whole and not cut
        search.progress(f"reachable states: position {j + 1}, {len(words):,} nodes")
    return "every reachable state was listed" if whole else f"more than {MOST_NODES} states are reachable"


def _merged(
    search: Search, runner: Runner, words: np.ndarray, states: np.ndarray
) -> tuple[np.ndarray, np.ndarray, bool]:
    """One word for each (state, answers on the suffixes); raises Found; whether anything may have been left out."""
    length = words.shape[1]
    suffixes, every = _suffixes(search, length)
    whole = np.concatenate([np.repeat(words, len(suffixes), axis=0), np.tile(suffixes, (len(words), 1))], axis=1)
    answers = search.task.answer(whole)[:, 0].reshape(len(words), len(suffixes))
    if search.domain.constraint.kind != "product":
        legal = np.array([search.domain.contains(word) for word in whole]).reshape(answers.shape)
        answers = np.where(legal, answers, -1)
    _, first = np.unique(np.concatenate([states, answers], axis=1), axis=0, return_index=True)
    first = np.sort(first)
    words, states, answers = words[first], states[first], answers[first]
    order = np.lexsort(states.T)
    same = (states[order][1:] == states[order][:-1]).all(axis=1)
    for a, b in zip(order[:-1][same], order[1:][same], strict=True):
        differ = np.flatnonzero((answers[a] != answers[b]) & (answers[a] >= 0) & (answers[b] >= 0))
        if len(differ):
            pair = np.concatenate([words[[a, b]], np.tile(suffixes[differ[0]], (2, 1))], axis=1)
            rest = 1 - length / search.positions
            search.judge(pair, runner.outputs(states[[a, b]], pair[:, length:], length, search.queries), rest)
    if len(words) <= MOST_NODES:
        return words, states, not every
    kept = np.sort(search.rng.choice(len(words), MOST_NODES, replace=False))
    return words[kept], states[kept], True


def _suffixes(search: Search, length: int) -> tuple[np.ndarray, bool]:
    """(count, rest) suffixes after `length` positions, and whether these are all."""
    rest = [np.asarray(a) for a in search.domain.alphabets[length:]]
    if np.prod([float(len(a)) for a in rest]) <= SUFFIXES:
        return np.array(list(itertools.product(*rest))), True
    return np.unique(search.sample(SUFFIXES)[:, length:], axis=0), False
