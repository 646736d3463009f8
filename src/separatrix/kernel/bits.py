"""Quantised models (`bits:` semantics): certificate kinds `bits-exhaustive`, `bits-counterexample` and `bits-solver`.

Evaluated in whole numbers, held exactly by float64 since every sum stays below 2^53 (`numbers.integers` sees to it).
`bits-solver` records that a pseudo-Boolean solver found no failing input of the compiled circuit. Neither the compiler
nor the solver is checked here, so that kind is `checked`, never `proved`: what is done here is to look for a failing
input among fresh samples.
"""

from __future__ import annotations

import math
import secrets
from collections.abc import Iterator

import numpy as np

from separatrix.core.arch import Table
from separatrix.core.domain import Labels, PointerSets, Sequence
from separatrix.core.errors import InputError, RejectedError, UnknownError
from separatrix.kernel.case import Case
from separatrix.numbers.integers import IntegerAttention, IntegerFeed, IntegerNet, integer_net

MOST_INPUTS = 2**24
BATCH_NUMBERS = 2**17  # numbers of the greatest intermediate array of a batch
SAMPLES = 2**12
SOLVERS = ("exact", "cadical")


def check_counterexample(case: Case) -> str:
    """The input of the evidence is legal, and a rival's logit is at least the right one's."""
    case.no_arrays()
    tokens, query = case.fields(tokens=list, query=int)
    row = np.array(tokens) if all(type(t) is int for t in tokens) else np.zeros(0, dtype=np.int64)
    if not case.task.domain(case.n).contains(row):
        raise RejectedError("the input is not one of the task's")
    if query not in case.task.queries(case.n):
        raise RejectedError(f"position {query} is not scored by the task")
    net = _net(case)
    if not _wrong(case, net, row[None])[0, case.task.queries(case.n).index(query)]:
        raise RejectedError("the quantised model's answer on this input is right")
    return f"the model errs at {case.where} under {case.semantics}: on a legal input, position {query}"


def check_exhaustive(case: Case) -> str:
    """Every input, in batches."""
    case.fields()
    case.no_arrays()
    domain, net, count = case.task.domain(case.n), _net(case), 0
    total = size_of(domain)
    if total > MOST_INPUTS:
        raise UnknownError(f"the domain has 2^{math.log2(total):.0f} inputs, more than {MOST_INPUTS}")
    for tokens in words(domain, batch_size(net)):
        wrong = _wrong(case, net, tokens)
        if wrong.any():
            row = tokens[np.flatnonzero(wrong.any(axis=1))[0]]
            raise RejectedError(f"input {case.task.show(row)}: the quantised model's answer is wrong")
        count += wrong.size
        case.progress(f"{count:,} answers")
    if not count:
        raise RejectedError("the task scores no input at this length")
    return f"the quantised model ({case.semantics}) answers {case.where} right on every input ({count:,} answers)"


def check_solver(case: Case) -> str:
    """No failing input among fresh samples; the rest is the word of the solver that the evidence names."""
    case.no_arrays()
    solver, questions, seed = case.fields(solver=str, questions=int, seed=int)
    if solver not in SOLVERS or questions < 1 or seed < 0:
        raise InputError("the evidence names no solver that is known, or no question that it was asked")
    net, size = _net(case), 0
    rng = np.random.default_rng([seed, secrets.randbits(63)])
    tokens, _ = case.task.sample(case.n, SAMPLES, rng)
    step = batch_size(net)
    for start in range(0, len(tokens), step):
        wrong = _wrong(case, net, tokens[start : start + step])
        if wrong.any():
            row = tokens[start + np.flatnonzero(wrong.any(axis=1))[0]]
            raise RejectedError(f"input {case.task.show(row)}: the quantised model's answer is wrong")
        size += wrong.size
        case.progress(f"{size:,} fresh answers")
    if not size:
        raise RejectedError("the task scores no input at this length")
    return (
        f"the quantised model ({case.semantics}) answers {case.where} right on every input, on the word of {solver} "
        f"about the compiled circuit ({questions} questions); {size:,} fresh answers were right"
    )


def size_of(domain: Sequence) -> int:
    """Number of words over the alphabets (a constraint only lessens it)."""
    if any(isinstance(a, PointerSets) for a in domain.alphabets) or domain.reals is not None or domain.lengths:
        raise UnknownError("bits: semantics is about symbols, at one length")
    return math.prod(len(a) for a in domain.alphabets)


def words(domain: Sequence, batch: int) -> Iterator[np.ndarray]:
    """Every legal input, (at most batch, positions) at a time, by counting in the mixed radix of the alphabets."""
    alphabets = [np.asarray(a) for a in domain.alphabets]
    for start in range(0, size_of(domain), batch):
        number = np.arange(start, min(start + batch, size_of(domain)))
        columns = []
        for alphabet in reversed(alphabets):
            number, digit = np.divmod(number, len(alphabet))
            columns.append(alphabet[digit])
        tokens = np.stack(columns[::-1], axis=1)
        yield tokens if domain.constraint.kind == "product" else tokens[domain.constraint.holds(tokens)]


def batch_size(net: IntegerNet) -> int:
    """Inputs at a time."""
    rows = len(net.rows) + (net.blank is not None)
    return max(1, BATCH_NUMBERS // (rows * max(rows, net.rows.shape[2])))


def _net(case: Case) -> IntegerNet:
    arch, outputs = case.model(), case.task.outputs()
    if case.semantics.bits is None:
        raise InputError("this kind of certificate is about bits: semantics")
    if not isinstance(outputs, Labels) or arch.readout.decision != "argmax" or arch.readout.outputs != outputs.k:
        raise RejectedError("the model's read-out does not fit the task")
    domain = case.task.domain(case.n)
    size_of(domain)
    if isinstance(arch.first, Table) and domain.vocabulary > arch.first.vocabulary:
        raise RejectedError("the model does not know every token of the task")
    return integer_net(arch, case.tensors, domain.positions, case.semantics.bits)


def _wrong(case: Case, net: IntegerNet, tokens: np.ndarray) -> np.ndarray:
    """(batch, queries) whether some rival's logit is at least that of the right label."""
    labels = np.asarray(case.task.answer(tokens))
    logits = evaluate(net, tokens, np.array(case.task.queries(case.n), dtype=np.int64))
    right = np.take_along_axis(logits, labels[:, :, None], axis=2)
    rivals = np.where(np.arange(logits.shape[2]) == labels[:, :, None], -np.inf, logits)
    return ~(right[:, :, 0] > rivals.max(axis=2))


def evaluate(net: IntegerNet, tokens: np.ndarray, queries: np.ndarray) -> np.ndarray:
    """(batch, queries, k) logits, whole numbers in float64."""
    x = net.rows[np.arange(tokens.shape[1]), tokens].astype(np.float64)
    if net.blank is not None:
        x = np.concatenate([x, np.broadcast_to(net.blank.astype(np.float64), (len(x), 1, x.shape[2]))], axis=1)
    for i, layer in enumerate(net.layers):
        read = queries if i == len(net.layers) - 1 else np.arange(x.shape[1])
        x = _attend(net, layer, x, read) if isinstance(layer, IntegerAttention) else _feed(net, layer, x[:, read])
    return x @ net.readout.astype(np.float64) + net.readout_bias


def shift_down(values: np.ndarray, bits: int) -> np.ndarray:
    """Nearest whole numbers to values / 2^bits, ties to even: the product is exact, and so is rint."""
    return np.rint(values * 2.0**-bits)


def nearest(numerator: np.ndarray, denominator: np.ndarray | int) -> np.ndarray:
    """Nearest whole number to a quotient of whole numbers, ties to even; denominator > 0."""
    top, under = numerator.astype(np.int64), np.asarray(denominator).astype(np.int64)
    quotient, rest = np.divmod(top, under)
    return (quotient + ((2 * rest > under) | ((2 * rest == under) & (quotient % 2 == 1)))).astype(np.float64)


def _attend(net: IntegerNet, layer: IntegerAttention, x: np.ndarray, read: np.ndarray) -> np.ndarray:
    total = (x[:, read] * 2.0**layer.shift) if layer.residual else np.zeros((len(x), len(read), x.shape[2]))
    for score, value, output in zip(layer.score, layer.value, layer.output, strict=True):
        sums = (x[:, read] @ score.astype(np.float64)) @ x.transpose(0, 2, 1)
        code = np.clip(shift_down(sums, layer.score_shift), layer.code_low, layer.code_low + len(layer.table) - 1)
        weight = layer.table.astype(np.float64)[(code - layer.code_low).astype(np.int64)]
        if layer.causal:
            weight = np.where(np.arange(x.shape[1]) <= read[:, None], weight, 0.0)
        pulled = (weight @ x) @ value.astype(np.float64)
        head = nearest(pulled, weight.sum(axis=2, keepdims=True) * 2.0**layer.shift)
        total = total + np.clip(head, net.low, net.high) @ output.astype(np.float64)
    return np.clip(shift_down(total, layer.shift), net.low, net.high)


def _feed(net: IntegerNet, layer: IntegerFeed, x: np.ndarray) -> np.ndarray:
    inner = x @ layer.inner.astype(np.float64) + layer.inner_bias
    hidden = np.clip(shift_down(inner, layer.shift), 0, net.high)
    out = hidden @ layer.out.astype(np.float64) + layer.out_bias
    out = out + x * 2.0**layer.shift if layer.residual else out
    return np.clip(shift_down(out, layer.shift), net.low, net.high)
