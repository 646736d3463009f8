"""The separable prover: exact worst case of one softmax head over all inputs of every cell.

    w . (sum_j e^{s_j} v_j) / (sum_j e^{s_j}) > c   <=>   sum_j e^{s_j} (w . v_j - c) > 0,
and over a product cell the least value of the right-hand side is the sum of the least terms. The kernel decides; the
sweep below, in plain float64, finds the input that fails when the kernel does not accept.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from separatrix.core.arch import Attention, Table
from separatrix.core.domain import CellGroup, Labels
from separatrix.core.semantics import REAL, Semantics
from separatrix.core.task import Task
from separatrix.kernel.case import Progress, silent
from separatrix.models.evaluate import evaluate
from separatrix.models.model import Model
from separatrix.verify.provers.outcome import Outcome, refute, registry, submit

CANDIDATES = 256  # worst inputs evaluated on the model itself


@registry.register("separable")
def prove(model: Model, task: Task, n: int, semantics: Semantics, progress: Progress = silent) -> Outcome:
    """Proves or refutes one attention layer with one head, linear read-out, on product cells."""
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
    certificate, verdict = submit("separable", model, task, n, semantics, progress=progress)
    if verdict.accepted:
        return Outcome("proved", certificate, verdict.sentence)
    if verdict.exit_code != 1:
        return Outcome("unknown", None, verdict.sentence)
    worst = worst_input(model, task, n)
    if worst is not None:
        outcome = refute(model, task, n, *worst)
        if outcome.verdict == "refuted":
            return outcome
    hint = "" if semantics == REAL else "; it may still be right in exact arithmetic"
    return Outcome("unknown", None, f"{verdict.sentence}, and no failing input was found{hint}")


def worst_input(model: Model, task: Task, n: int) -> tuple[np.ndarray, int] | None:
    """The input with the least margin among the minimisers of all cells, and its query; None when all are right."""
    candidates: list[tuple[float, np.ndarray, int]] = []
    for query in task.queries(n):
        for value, tokens in _minimisers(model, task, n, query):
            candidates.append((value, tokens, query))
        candidates = sorted(candidates, key=lambda c: c[0])[:CANDIDATES]
    best: tuple[float, np.ndarray, int] | None = None
    queries = list(task.queries(n))
    for _, tokens, query in candidates:
        logits = evaluate(model, tokens[None], queries=[query])[0, 0]
        label = task.answer(tokens[None])[0, queries.index(query)]
        margin = float(logits[label] - np.delete(logits, label).max())
        if margin <= 0 and (best is None or margin < best[0]):
            best = (margin, tokens, query)
    return None if best is None else best[1:]


def _minimisers(model: Model, task: Task, n: int, query: int) -> Iterator[tuple[float, np.ndarray]]:
    """Per group of cells the least sum over cells and rivals, over the sum of absolute terms, with its input."""
    t, layer = model.tensors, model.arch.layers[0]
    assert isinstance(layer, Attention)
    domain = task.domain(n)
    token = t["embed.token"].astype(np.float64)
    place = (
        t["embed.position"].astype(np.float64)
        if "embed.position" in t
        else np.zeros((domain.positions, token.shape[1]))
    )
    bilinear = t["layers.0.query"][0].astype(np.float64) @ t["layers.0.key"][0].astype(np.float64).T * layer.scale
    readout = t["readout.weight"].astype(np.float64)
    logits = t["layers.0.value"][0].astype(np.float64) @ t["layers.0.output"][0].astype(np.float64) @ readout
    for group in task.cells(n, query) or ():
        x = token[group.token] + place[query]
        g = x @ bilinear
        const = t["readout.bias"] + (x @ readout if layer.residual else 0.0)
        where = group.background or domain.alphabets
        used = np.unique(np.concatenate([np.asarray(a) for a in {id(a): a for a in where}.values()]))
        used = np.union1d(used, group.symbols.reshape(-1)).astype(np.int64)
        scores = (place @ g)[:, None] + token[used] @ g  # (T, S)
        allowed = np.stack([np.isin(used, np.asarray(a)) for a in where])
        allowed[query] = False
        single = np.array([x @ g] + ([t["embed.blank"] @ g] if model.arch.blank else []))
        rows = np.stack([x] + ([t["embed.blank"].astype(np.float64)] if model.arch.blank else []))
        top = max(scores.max(), single.max())
        e, e_single = np.exp(scores - top), np.exp(single - top)
        values = (token[used] @ logits)[None] + (place @ logits)[:, None] + const  # (T, S, k)
        assert group.labels is not None
        for label in np.unique(group.labels):
            terms = e[:, :, None] * (values[:, :, [label]] - values)  # (T, S, k)
            own = ((rows @ logits + const)[:, [label]] - (rows @ logits + const)) * e_single[:, None]
            least = np.where(allowed[:, :, None], terms, np.inf).min(axis=1)
            least[query] = 0.0
            yield _worst_of(group, int(label), terms, least, own.sum(axis=0), allowed, used)


def _worst_of(
    group: CellGroup,
    label: int,
    terms: np.ndarray,
    least: np.ndarray,
    own: np.ndarray,
    allowed: np.ndarray,
    used: np.ndarray,
) -> tuple[float, np.ndarray]:
    """The worst (cell, rival) of one label: its sum relative to the largest terms, and the minimising input."""
    assert group.labels is not None
    cells = np.flatnonzero(group.labels == label)
    total = np.broadcast_to(least.sum(axis=0) + own, (len(cells), least.shape[1])).copy()
    at = np.searchsorted(used, group.symbols[cells])
    for f in range(group.positions.shape[1]):
        p = group.positions[cells, f]
        total += terms[p, at[:, f]] - least[p]
    total[:, label] = np.inf
    cell, rival = np.unravel_index(int(total.argmin()), total.shape)
    tokens = np.empty(len(allowed), dtype=np.int64)
    for j in range(len(allowed)):
        if j != group.query:
            tokens[j] = used[np.where(allowed[j], terms[j, :, rival], np.inf).argmin()]
    tokens[group.query] = group.token
    tokens[group.positions[cells[cell]]] = group.symbols[cells[cell]]
    scale = float(np.abs(terms[:, :, rival]).max()) + float(np.abs(own).max()) + 1e-300
    return float(total[cell, rival]) / scale, tokens
