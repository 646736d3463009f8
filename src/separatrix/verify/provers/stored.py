"""The prover of linear recurrences that store symbols: the kernel decides, and failing inputs are looked for."""

from __future__ import annotations

from separatrix.core.domain import Labels
from separatrix.core.recurrent import FixedPoint, Recurrent
from separatrix.core.semantics import Semantics
from separatrix.core.task import Task
from separatrix.kernel.case import Progress, silent
from separatrix.models.model import Model
from separatrix.verify.provers.automaton import failing_inputs
from separatrix.verify.provers.outcome import Outcome, refute, registry, submit


@registry.register("stored")
def prove(model: Model, task: Task, n: int, semantics: Semantics, progress: Progress = silent) -> Outcome:
    """Proves a rounded linear recurrence whose numbers each remember one position, alone or below a layer of flags."""
    if semantics.spec is not None or not isinstance(task.outputs(), Labels):
        return Outcome("unknown", None, "stored numbers are followed in exact arithmetic, on class labels")
    arch = model.arch
    if not isinstance(arch, Recurrent) or not isinstance(arch.state, FixedPoint):
        return Outcome("unknown", None, "the model is not a recurrent one with a rounded state")
    if arch.first.vocabulary != task.domain(n).vocabulary:
        return Outcome("unknown", None, "the model's tokens are not the task's")
    sentence, rejected = "the task has no factors", False
    for name in [""] if len(arch.layers) == 1 else task.factors():
        certificate, verdict = submit("stored", model, task, n, semantics, evidence={"factor": name}, progress=progress)
        if verdict.accepted:
            return Outcome("proved", certificate, verdict.sentence)
        sentence, rejected = verdict.sentence, rejected or verdict.exit_code in (1, 3)
    if rejected:
        for tokens, query in failing_inputs(model, task, n):
            outcome = refute(model, task, n, tokens, query)
            if outcome.verdict == "refuted":
                return outcome
    return Outcome("unknown", None, f"{sentence}; no failing input was found")
