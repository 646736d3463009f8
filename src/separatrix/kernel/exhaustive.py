"""Certificate kinds `counterexample` (the model errs on this input) and `exhaustive` (right on each of few inputs)."""

from __future__ import annotations

import itertools

import numpy as np

from separatrix.core.arch import Table
from separatrix.core.config import AnyArch
from separatrix.core.domain import Labels, PointerSets
from separatrix.core.errors import RejectedError, UnknownError
from separatrix.kernel import recurrent
from separatrix.kernel.balls import Ball
from separatrix.kernel.case import Case
from separatrix.kernel.forward import forward

MOST_INPUTS = 2**20


def check_counterexample(case: Case) -> str:
    """Checks that the input of the evidence is legal and that the model's answer there is wrong (a tie is wrong)."""
    case.no_arrays()
    tokens, query = case.fields(tokens=list, query=int)
    if not isinstance(case.task.outputs(), Labels) or case.task.domain(case.n).reals is not None:
        raise UnknownError("a counterexample of this kind is about symbols and class labels")
    row = np.array(tokens) if all(type(t) is int for t in tokens) else np.zeros(0, dtype=np.int64)
    if not case.task.domain(case.n).contains(row):
        raise RejectedError("the input is not one of the task's")
    if query not in case.task.queries(case.n):
        raise RejectedError(f"position {query} is not scored by the task")
    label = int(case.task.answer(row[None])[0, case.task.queries(case.n).index(query)])
    arch = case.recurrent()
    if arch is not None:
        _require_readout(case, arch)
        rival = recurrent.errs(case, arch, row, query, label)
        if rival is None:
            raise RejectedError("the model's answer on this input is right")
        return _sentence(case, query, rival, label)
    margin = _margins(_logits(case, row, query), label)
    wrong = np.flatnonzero(margin.high <= 0)
    if not len(wrong):
        raise RejectedError("the model's answer on this input is not proved to be wrong")
    rival = int(wrong[np.argmin(margin.high[wrong])])
    rival += rival >= label
    return _sentence(case, query, rival, label)


def check_exhaustive(case: Case) -> str:
    """Evaluates every input of a small product domain in balls."""
    case.fields()
    case.no_arrays()
    domain, outputs = case.task.domain(case.n), case.task.outputs()
    if any(isinstance(a, PointerSets) for a in domain.alphabets) or domain.constraint.kind != "product":
        raise UnknownError("the exhaustive check enumerates product domains of symbols")
    many = domain.positions > MOST_INPUTS or domain.log2_inputs() > np.log2(MOST_INPUTS)
    if domain.lengths or domain.reals is not None or many:
        raise UnknownError(f"the domain has more than {MOST_INPUTS} inputs, several lengths or real parts")
    if not isinstance(outputs, Labels):
        raise UnknownError("the exhaustive check reads class labels")
    queries = case.task.queries(case.n)
    count = 0
    for tokens in itertools.product(*(np.asarray(a).tolist() for a in domain.alphabets)):
        row = np.array(tokens)
        for query, label in zip(queries, case.task.answer(row[None])[0], strict=True):
            if not (_margins(_logits(case, row, query), int(label)).low > 0).all():
                raise RejectedError(f"input {case.task.show(row)}: the answer at position {query} is not proved right")
            count += 1
    if not count:
        raise RejectedError("the task scores no input at this length")
    return f"the model answers {case.where} right on every input ({count} answers enumerated, real arithmetic)"


def _sentence(case: Case, query: int, rival: int, label: int) -> str:
    return (
        f"the model errs at {case.where}: on a legal input, position {query}, it prefers {rival} where {label} is right"
    )


def _require_readout(case: Case, arch: AnyArch) -> None:
    outputs = case.task.outputs()
    if not isinstance(outputs, Labels) or arch.readout.decision != "argmax" or arch.readout.outputs != outputs.k:
        raise RejectedError("the model's read-out does not fit the task")


def _logits(case: Case, tokens: np.ndarray, query: int) -> Ball:
    arch = case.model()
    _require_readout(case, arch)
    if isinstance(arch.first, Table) and int(tokens.max()) >= arch.first.vocabulary:
        raise RejectedError("the model does not know a token of this input")
    with np.errstate(all="ignore"):  # overflow becomes an infinite radius, which proves nothing
        return forward(arch, case.tensors, tokens, query)


def _margins(logits: Ball, label: int) -> Ball:
    """Balls of logit[label] - logit[rival] for every rival."""
    others = np.delete(np.arange(len(logits.mid)), label)
    return logits[[label] * len(others)] - logits[others]
