"""The prover of attention over pairs with positions: the kernel decides; else a failing input is looked for."""

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

SAMPLES, ROUNDS = 64, 24
MOST_SCORES = 2**26  # of one round


@registry.register("pairs")
def prove(model: Model, task: Task, n: int, semantics: Semantics, progress: Progress = silent) -> Outcome:
    """Proves one head of attention over pairs of tokens, for tasks that two positions decide."""
    queries = task.queries(n)
    if semantics.spec is not None or not isinstance(task.outputs(), Labels) or task.pairs(n, queries[0]) is None:
        return Outcome("unknown", None, "pairs are in real arithmetic, for tasks that two positions decide")
    domain = task.domain(n)
    if not isinstance(model.arch, Arch):
        return Outcome("unknown", None, "the model is no transformer")
    layers, first = model.arch.layers, model.arch.first
    if len(layers) != 1 or not isinstance(layers[0], HigherOrder | Strassen) or not isinstance(first, Table):
        return Outcome("unknown", None, "the model is not one layer of attention over pairs")
    if first.vocabulary != domain.vocabulary or first.positions not in (0, domain.positions):
        return Outcome("unknown", None, f"the model's tables do not fit the task at n = {n}")
    certificate, verdict = submit("pairs", model, task, n, semantics, progress=progress)
    if verdict.accepted:
        return Outcome("proved", certificate, verdict.sentence)
    if len(queries) * (domain.positions + 1) ** (layers[0].order - 1) <= MOST_SCORES:
        found = failing_input(model, task, n, layers[0].order - 1)
        outcome = refute(model, task, n, *found) if found else None
        if outcome is not None and outcome.verdict == "refuted":
            return outcome
    return Outcome("unknown", None, f"{verdict.sentence}; and no failing input was found")


def failing_input(model: Model, task: Task, n: int, slots: int) -> tuple[np.ndarray, int] | None:
    """An input that the model gets wrong, and its query: samples, then single changes towards smaller margins."""
    rng, queries, domain = child(0, "pairs", task.name, n), list(task.queries(n)), task.domain(n)
    size = max(1, min(SAMPLES, MOST_SCORES // (len(queries) * (domain.positions + 1) ** slots)))
    tokens, _ = task.sample(n, size, rng)
    best = tokens
    for round_ in range(ROUNDS):
        if round_ % 2:
            tokens = np.repeat(best, -(-size // len(best)), axis=0)[:size].copy()
            for word in tokens:
                at = int(rng.integers(0, domain.positions))
                word[at] = rng.choice(np.asarray(domain.alphabets[at]))
        elif round_:
            tokens, _ = task.sample(n, size, rng)
        logits, labels = evaluate(model, tokens, queries=queries), task.answer(tokens)
        right = np.take_along_axis(logits, labels[:, :, None], axis=2)[:, :, 0]
        np.put_along_axis(logits, labels[:, :, None], -np.inf, axis=2)
        margin = right - logits.max(axis=2)
        row, at = np.unravel_index(int(margin.argmin()), margin.shape)
        if margin[row, at] <= 0:
            return tokens[row], queries[at]
        best = tokens[np.argsort(margin.min(axis=1))[: max(1, size // 8)]]
    return None
