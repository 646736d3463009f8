"""Small domains: look for a failing input among all of them, or have the kernel enumerate them in balls."""

from __future__ import annotations

import itertools

import numpy as np

from separatrix.core.domain import Labels, PointerSets
from separatrix.core.semantics import Semantics
from separatrix.core.task import Task
from separatrix.kernel.case import Progress, silent
from separatrix.models.evaluate import evaluate
from separatrix.models.model import Model
from separatrix.verify.provers.outcome import Outcome, refute, registry, submit

MOST_INPUTS = 2**16
BATCH = 4096


@registry.register("exhaustive")
def prove(model: Model, task: Task, n: int, semantics: Semantics, progress: Progress = silent) -> Outcome:
    """Decides any architecture that the kernel's ball evaluation knows, while the domain is small."""
    domain = task.domain(n)
    if semantics.spec is not None or not isinstance(task.outputs(), Labels):
        return Outcome("unknown", None, "enumeration is in real arithmetic, on class labels")
    if any(isinstance(a, PointerSets) for a in domain.alphabets) or domain.constraint.kind != "product":
        return Outcome("unknown", None, "enumeration needs a product domain of symbols")
    if domain.reals is not None or domain.log2_inputs() > np.log2(MOST_INPUTS):
        return Outcome("unknown", None, f"the domain has 2^{domain.log2_inputs():.0f} inputs")
    queries = task.queries(n)
    inputs = itertools.product(*(np.asarray(a).tolist() for a in domain.alphabets))
    while batch := list(itertools.islice(inputs, BATCH)):
        tokens = np.array(batch)
        wrong = np.argwhere(evaluate(model, tokens, queries=queries).argmax(axis=2) != task.answer(tokens))
        if len(wrong):
            return refute(model, task, n, tokens[wrong[0, 0]], queries[wrong[0, 1]])
    certificate, verdict = submit("exhaustive", model, task, n, semantics, progress=progress)
    if not verdict.accepted:
        return Outcome("unknown", None, verdict.sentence)
    return Outcome("proved", certificate, verdict.sentence)
