"""The separable prover: exact worst case of one softmax head over all inputs of every cell.

    w . (sum_j e^{s_j} v_j) / (sum_j e^{s_j}) > c   <=>   sum_j e^{s_j} (w . v_j - c) > 0,
and over a cell the least value of the right-hand side is the sum of the least terms (product), or found by sorting
(count), an assignment (distinct) or a shortest path (regular). The kernel decides, given prices where symbols are
distinct; a sweep in plain float64 finds these prices, and the input that fails when it does not accept.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from separatrix.core.arch import Attention, Table
from separatrix.core.certificate import Certificate, Claim
from separatrix.core.domain import Labels
from separatrix.core.guarantee import PROVED
from separatrix.core.seeds import child
from separatrix.core.semantics import REAL, Semantics
from separatrix.core.task import Task
from separatrix.kernel import Verdict, judge
from separatrix.kernel.case import Progress, silent
from separatrix.kernel.judge import WITH_ARB
from separatrix.models.evaluate import evaluate
from separatrix.models.model import Model
from separatrix.verify.provers.outcome import Outcome, refute, registry
from separatrix.verify.provers.sweep import Found, sweep

SAMPLES = 4096  # random inputs, where a sweep names none that fails


@registry.register("separable")
def prove(model: Model, task: Task, n: int, semantics: Semantics, progress: Progress = silent) -> Outcome:
    """Proves or refutes one attention layer with one head, linear read-out, on cells of every kind."""
    layer = model.arch.layers[0]
    if len(model.arch.layers) != 1 or not isinstance(layer, Attention) or layer.heads != 1 or layer.mask != "none":
        return Outcome("unknown", None, "the model is not one unmasked attention layer with one head")
    if not isinstance(model.arch.first, Table) or not isinstance(task.outputs(), Labels):
        return Outcome("unknown", None, "the model reads no token table or the task has no labels")
    domain = task.domain(n)
    if model.arch.first.vocabulary != domain.vocabulary or model.arch.first.positions not in (0, domain.positions):
        return Outcome("unknown", None, f"the model's tables do not fit the task at n = {n}")
    if task.cells(n, task.queries(n)[0]) is None:
        return Outcome("unknown", None, f"no cells are known for {task.name}")
    certificate, verdict = _submit(model, task, n, semantics, {}, progress)
    found = None
    if verdict.exit_code == 1 and semantics != REAL and domain.constraint.kind == "product":
        _, exact = _submit(model, task, n, REAL, {}, progress)
        if exact.accepted:  # there is no failing input to look for
            return Outcome(
                "unknown", None, f"{verdict.sentence}; in exact arithmetic the model is right on every input"
            )
    if verdict.exit_code == 1:
        found = sweep(model, task, n, slack=1e-9 if semantics == REAL else 2.0)
        if found.prices:
            certificate, verdict = _submit(model, task, n, semantics, found.arrays(domain.vocabulary), progress)
    if verdict.accepted:
        return Outcome("proved", certificate, verdict.sentence)
    if found is None or verdict.exit_code != 1:
        return Outcome("unknown", None, verdict.sentence)
    worst = _worst(model, task, n, found) or _sampled(model, task, n)
    if worst is not None:
        outcome = refute(model, task, n, *worst)
        if outcome.verdict == "refuted":
            return outcome
    if semantics == REAL and not certificate.arrays:  # a margin below the float64 radius may be positive
        named = replace(certificate, trusted=WITH_ARB)
        second = judge(named, model.arch, model.tensors, progress)
        if second.accepted:
            return Outcome("proved", named, second.sentence)
    hint = "" if semantics == REAL else "; it may still be right in exact arithmetic"
    return Outcome("unknown", None, f"{verdict.sentence}, and no failing input was found{hint}")


def _submit(
    model: Model, task: Task, n: int, semantics: Semantics, arrays: dict[str, np.ndarray], progress: Progress
) -> tuple[Certificate, Verdict]:
    claim = Claim(task.name, task.parameters(), n, "correct", semantics.text)
    certificate = Certificate("separable", claim, PROVED, task.source_sha256(), {}, arrays, model.reference())
    return certificate, judge(certificate, model.arch, model.tensors, progress)


def worst_input(model: Model, task: Task, n: int) -> tuple[np.ndarray, int] | None:
    """The input with the least margin among the minimisers of all cells, and its query; None when all are right."""
    return _worst(model, task, n, sweep(model, task, n))


@np.errstate(all="ignore")
def _sampled(model: Model, task: Task, n: int) -> tuple[np.ndarray, int] | None:
    """A random input that fails, for models too large to be swept whole."""
    rng, queries = child(0, "separable", task.name, n), list(task.queries(n))
    batch = max(1, min(256, 2**22 // (n * len(queries))))
    for _ in range(SAMPLES // batch):
        tokens, reals = task.sample(n, batch, rng)
        wrong = evaluate(model, tokens, reals, queries).argmax(axis=2) != task.answer(tokens, reals)
        if wrong.any():
            row, at = np.argwhere(wrong)[0]
            return tokens[row], queries[at]
    return None


@np.errstate(all="ignore")  # overflow is no failing input
def _worst(model: Model, task: Task, n: int, found: Found) -> tuple[np.ndarray, int] | None:
    best: tuple[float, np.ndarray, int] | None = None
    domain, queries = task.domain(n), list(task.queries(n))
    for _, tokens, query in found.candidates:
        if not domain.contains(tokens):  # of a cell that is wider than the domain
            continue
        logits = evaluate(model, tokens[None], queries=[query])[0, 0]
        label = task.answer(tokens[None])[0, queries.index(query)]
        margin = float(logits[label] - np.delete(logits, label).max())
        if margin <= 0 and (best is None or margin < best[0]):
            best = (margin, tokens, query)
    return None if best is None else best[1:]
