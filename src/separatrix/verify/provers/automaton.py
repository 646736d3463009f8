"""The prover of recurrent models with few states: the kernel decides, and failing inputs are looked for."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from separatrix.core.domain import Labels, PointerSets
from separatrix.core.errors import InputError
from separatrix.core.recurrent import Recurrent
from separatrix.core.seeds import child
from separatrix.core.semantics import Semantics
from separatrix.core.task import Task
from separatrix.kernel.case import Progress, silent
from separatrix.models.evaluate import evaluate
from separatrix.models.model import Model
from separatrix.models.recurrent import Runner
from separatrix.verify.provers.outcome import Outcome, refute, registry, submit

SAMPLES = 2048
MOST_STATES, MOST_WORDS = 2**14, 2**20


@registry.register("automaton")
def prove(model: Model, task: Task, n: int, semantics: Semantics, progress: Progress = silent) -> Outcome:
    """Proves a recurrent ReLU model by walking through all its reachable states, in exact rational arithmetic."""
    if semantics.spec is not None or not isinstance(task.outputs(), Labels):
        return Outcome("unknown", None, "the walk is in exact arithmetic, on class labels")
    if not isinstance(model.arch, Recurrent) or model.arch.first.vocabulary != task.domain(n).vocabulary:
        return Outcome("unknown", None, "the model is not a recurrent one over the task's tokens")
    certificate, verdict = submit("automaton", model, task, n, semantics, progress=progress)
    if verdict.accepted:
        return Outcome("proved", certificate, verdict.sentence)
    if verdict.exit_code == 1:
        for tokens, query in failing_inputs(model, task, n):
            outcome = refute(model, task, n, tokens, query)
            if outcome.verdict == "refuted":
                return outcome
    return Outcome("unknown", None, f"{verdict.sentence}; no failing input was found")


def failing_inputs(model: Model, task: Task, n: int) -> Iterator[tuple[np.ndarray, int]]:
    """Inputs that the model gets wrong in floats, with their queries: samples, then words that reach new states."""
    queries = list(task.queries(n))
    for distribution in ("uniform", "balanced", "sparse", "one"):
        try:
            tokens, _ = task.sample(n, SAMPLES, child(0, "automaton", task.name, n, distribution), distribution)
        except InputError:
            continue
        yield from _wrong(model, task, tokens, queries)
    yield from _wrong(model, task, covering(model, task, n), queries)


def covering(model: Model, task: Task, n: int) -> np.ndarray:
    """(words, positions) inputs that together pass through every pair of a state and a symbol, as far as room goes.

    One word for each state that is reached at each position; then its continuations by every symbol, filled up with
    random ones.
    """
    domain, runner, rng = task.domain(n), Runner(model), child(0, "covering", task.name, n)
    if any(isinstance(a, PointerSets) for a in domain.alphabets):
        return np.zeros((0, domain.positions), dtype=np.int64)
    states, words = runner.start(1), np.zeros((1, 0), dtype=np.int64)
    found: list[np.ndarray] = []
    room = MOST_WORDS // domain.positions
    for position in range(domain.positions):
        symbols = np.asarray(domain.alphabets[position])
        grown = np.concatenate([np.repeat(words, len(symbols), axis=0), np.tile(symbols, len(words))[:, None]], axis=1)
        after, _ = runner.step(np.repeat(states, len(symbols), axis=0), grown[:, -1], position)
        _, first = np.unique(np.round(after, 9), axis=0, return_index=True)
        first = first[:MOST_STATES]
        states, words = after[first], grown[first]
        if sum(map(len, found)) < room:
            rest = [rng.choice(np.asarray(a), len(grown)) for a in domain.alphabets[position + 1 :]]
            found.append(np.concatenate([grown, *(column[:, None] for column in rest)], axis=1))
    return np.concatenate([*found, words])


def _wrong(model: Model, task: Task, tokens: np.ndarray, queries: list[int]) -> Iterator[tuple[np.ndarray, int]]:
    if len(tokens):
        logits, labels = evaluate(model, tokens, queries=queries), task.answer(tokens)
        right = np.take_along_axis(logits, labels[:, :, None], axis=2)[:, :, 0]
        np.put_along_axis(logits, labels[:, :, None], -np.inf, axis=2)
        for row, at in np.argwhere(right <= logits.max(axis=2))[:3]:
            yield tokens[row], queries[at]
