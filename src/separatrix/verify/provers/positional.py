"""The positional prover: compiled programs by their closed form; a failing input otherwise, by sampling."""

from __future__ import annotations

import numpy as np

from separatrix.core.domain import Reals
from separatrix.core.positional import Positional
from separatrix.core.seeds import child
from separatrix.core.semantics import REAL, Semantics
from separatrix.core.task import Task
from separatrix.kernel.case import Progress, silent
from separatrix.models.evaluate import evaluate
from separatrix.models.model import Model
from separatrix.verify.provers.outcome import Outcome, registry, submit

SAMPLES = 256


@registry.register("positional")
def prove(model: Model, task: Task, n: int, semantics: Semantics, progress: Progress = silent) -> Outcome:
    """Proves a positional transformer right for all reals of the task's box, or finds reals on which it errs."""
    domain = task.domain(n)
    if semantics.spec is not None or not isinstance(model.arch, Positional) or domain.reals is None:
        return Outcome("unknown", None, "positional transformers on real inputs, in real arithmetic")
    arch = model.arch
    if (arch.nodes - arch.sinks, arch.reals) != (n, domain.reals.dim):
        return Outcome("unknown", None, f"the model reads {arch.reals} words at {arch.nodes - arch.sinks} nodes")
    rng = child(0, "positional", task.name, n)
    for distribution in ("uniform", "interval", "corners"):
        sampled = "interval" if distribution == "interval" else "uniform"
        tokens, reals = task.sample(n, max(1, min(SAMPLES, 2**24 // n**2)), rng, sampled)
        if distribution == "corners":
            reals = _to_ends(reals, domain.reals)
        error = np.abs(evaluate(model, tokens, reals) - task.answer(tokens, reals))[:, :, 0]
        row, query = np.unravel_index(int(error.argmax()), error.shape)
        assert reals is not None
        outcome = _refute(model, task, n, reals[row], int(query))
        if outcome is not None:
            return outcome
    certificate, verdict = submit("positional", model, task, n, semantics, progress=progress)
    if not verdict.accepted:
        return Outcome("unknown", None, verdict.sentence)
    return Outcome("proved", certificate, verdict.sentence)


def _to_ends(reals: np.ndarray | None, box: Reals) -> np.ndarray:
    """The same inputs (batch, N, dim), each number (of routed ones the payload) at the nearer end of its range."""
    assert reals is not None
    first = 1 if box.kind == "routed" else 0
    near = np.where(reals[:, :, first:] * 2 > box.low + box.high, box.high, box.low)
    return np.concatenate([reals[:, :, :first], near], axis=2)


def _refute(model: Model, task: Task, n: int, reals: np.ndarray, query: int) -> Outcome | None:
    """Asks the judge whether the model errs on these words (N, dim); None where it does not."""
    evidence = {"reals": [float(x).hex() for x in reals.ravel()], "query": query}
    certificate, verdict = submit("positional-counterexample", model, task, n, REAL, "incorrect", evidence)
    if not verdict.accepted:
        return None
    return Outcome("refuted", certificate, verdict.sentence, (reals[:, 0] if reals.shape[1] == 1 else reals, query))
