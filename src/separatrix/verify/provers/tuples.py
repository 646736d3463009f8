"""The prover of attention over tuples: the kernel decides; where it does not accept, a failing input is looked for."""

from __future__ import annotations

import numpy as np

from separatrix.core.arch import Arch, HigherOrder, Strassen, Table
from separatrix.core.domain import Labels
from separatrix.core.seeds import child
from separatrix.core.semantics import Semantics
from separatrix.core.task import Task
from separatrix.kernel.case import Progress, silent
from separatrix.models.evaluate import evaluate
from separatrix.models.model import Model
from separatrix.verify.provers.outcome import Outcome, refute, registry, submit

SAMPLES, ROUNDS = 32, 24
MOST_SCORES = 2**26  # of one round


@registry.register("tuples")
def prove(model: Model, task: Task, n: int, semantics: Semantics, progress: Progress = silent) -> Outcome:
    """Proves one layer of attention over tuples of tokens, for tasks that ask whether some tuple is a hit."""
    queries = task.queries(n)
    if semantics.spec is not None or task.outputs() != Labels(2) or task.tuples(n, queries[0]) is None:
        return Outcome("unknown", None, "tuples are in real arithmetic, for tasks that ask whether some tuple is a hit")
    domain = task.domain(n)
    if not isinstance(model.arch, Arch):
        return Outcome("unknown", None, "the model is recurrent")
    layers = model.arch.layers
    if len(layers) != 1 or not isinstance(layers[0], HigherOrder | Strassen) or not isinstance(model.arch.first, Table):
        return Outcome("unknown", None, "the model is not one layer of attention over tuples")
    if model.arch.first.vocabulary != domain.vocabulary or model.arch.first.positions not in (0, n):
        return Outcome("unknown", None, f"the model's tables do not fit the task at n = {n}")
    certificate, verdict = submit("tuples", model, task, n, semantics, progress=progress)
    if verdict.accepted:
        return Outcome("proved", certificate, verdict.sentence)
    found = failing_input(model, task, n, layers[0].order - 1)
    if found is not None:
        outcome = refute(model, task, n, *found)
        if outcome.verdict == "refuted":
            return outcome
    return Outcome("unknown", None, f"{verdict.sentence}; and no failing input was found")


def failing_input(model: Model, task: Task, n: int, slots: int) -> tuple[np.ndarray, int] | None:
    """An input that the model gets wrong, and its query: few symbols repeated, samples, then single changes.

    Repetitions are where tuples are nearly independent: a hit among copies of one bad symbol, or that symbol alone.
    """
    rng, queries = child(0, "tuples", task.name, n), list(task.queries(n))
    vocabulary = task.domain(n).vocabulary
    size = max(1, min(SAMPLES, MOST_SCORES // (len(queries) * (n + 1) ** slots)))
    pools = rng.integers(0, vocabulary, (4 * size * ROUNDS, 2 + slots))
    candidates = np.take_along_axis(pools, rng.integers(0, pools.shape[1], (len(pools), n)), axis=1)
    candidates[:, : pools.shape[1] - 1] = pools[:, : min(n, pools.shape[1] - 1)]  # one of each, then copies of the last
    if pools.shape[1] - 1 < n:
        copies = np.arange(len(pools)) % 2 == 0
        candidates[copies, pools.shape[1] - 1 :] = pools[copies, -1:]
    best: np.ndarray | None = None
    for round_ in range(ROUNDS):
        tokens = candidates[round_ * size : (round_ + 1) * size]
        if best is not None and round_ % 2:
            tokens = np.repeat(best, -(-size // len(best)), axis=0)[:size].copy()
            at = rng.integers(0, n, size)
            tokens[np.arange(size), at] = rng.integers(0, vocabulary, size)
        logits, labels = evaluate(model, tokens, queries=queries), task.answer(tokens)
        right = np.take_along_axis(logits, labels[:, :, None], axis=2)[:, :, 0]
        margin = right - np.take_along_axis(logits, 1 - labels[:, :, None], axis=2)[:, :, 0]
        row, at = np.unravel_index(int(margin.argmin()), margin.shape)
        if margin[row, at] <= 0:
            return tokens[row], queries[at]
        best = tokens[np.argsort(margin.min(axis=1))[: max(1, size // 8)]]
    return None
