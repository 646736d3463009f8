"""Certificate kind `positional-counterexample`: real words on which a positional transformer errs by more than eps."""

from __future__ import annotations

import math

import numpy as np

from separatrix.core.domain import RealAnswer
from separatrix.core.errors import RejectedError, UnknownError
from separatrix.core.positional import Positional
from separatrix.kernel.balls import Ball, exp, sum_high, sum_low
from separatrix.kernel.case import Case
from separatrix.kernel.positional import real_inputs

ROUNDING = 2.0**-40  # relative, for the task's own float64 answer: sums of fewer than 2^12 numbers, or selections


def check_case(case: Case) -> str:
    """Evaluates the model in balls on the input of the evidence, and compares with the task's answer."""
    arch, x, query = question(case)
    outputs = case.task.outputs()
    assert isinstance(outputs, RealAnswer)
    least, most = enclosed_answer(case, x, query)
    with np.errstate(all="ignore"):  # overflow becomes an infinite radius, which proves nothing
        out = _forward(arch, {name: Ball.exact(tensor) for name, tensor in case.tensors.items()}, x)[query]
        off = np.maximum(out.low - most, least - out.high)[0]
    if not off > outputs.eps:
        raise RejectedError("the model's answer on this input is not proved to be wrong")
    return f"the model errs at {case.where}: position {query} is off by at least {off:.3g}, more than {outputs.eps:g}"


def question(case: Case) -> tuple[Positional, np.ndarray, int]:
    """The model, the words (n, dim) of the evidence, and the position; an error for what is no input of the task.

    The evidence lists the words node by node.
    """
    case.no_arrays()
    given, query = case.fields(reals=list, query=int)
    arch, task, n = case.arch, case.task, case.n
    domain, outputs = task.domain(n), task.outputs()
    if not isinstance(arch, Positional):
        raise UnknownError("this kind of certificate is about positional transformers")
    reals = real_inputs(domain)
    if not isinstance(outputs, RealAnswer):
        raise UnknownError("this kind of certificate is about real answers")
    if (arch.nodes - arch.sinks, arch.reals, arch.outputs, outputs.dim) != (n, reals.dim, 1, 1) or n > 2**12:
        raise RejectedError(f"the model is not for {n} nodes of {reals.dim} real words each, and one output")
    if len(given) != n * reals.dim:
        raise RejectedError("the input is not one of the task's")
    x = np.array([_number(word) for word in given]).reshape(n, reals.dim)
    if not reals.contains(x):
        raise RejectedError("the input is not one of the task's")
    if query not in task.queries(n):
        raise RejectedError(f"position {query} is not scored by the task")
    return arch, x, query


def enclosed_answer(case: Case, x: np.ndarray, query: int) -> tuple[float, float]:
    """Floats below and above the task's answer, which it computes in float64 itself."""
    queries, n = case.task.queries(case.n), case.n
    answer = case.task.answer(np.zeros((1, n), dtype=np.int64), x[None])[0, queries.index(query), 0]
    doubt = ROUNDING * float(np.abs(x[:, -1]).sum())  # destinations only say which payload
    return answer - doubt, answer + doubt


def _number(word: object) -> float:
    try:
        value = float.fromhex(word) if isinstance(word, str) else math.nan
    except (ValueError, OverflowError):
        value = math.nan
    if not math.isfinite(value):
        raise RejectedError("the input is not a list of finite hex-float strings")
    return value


def _forward(arch: Positional, t: dict[str, Ball], words: np.ndarray) -> Ball:
    """(nodes, 1) outputs."""
    x = Ball.exact(np.pad(words, ((0, arch.sinks), (0, 0)))) @ t["embed.linear"] + t["embed.bias"][None]
    for i, layer in enumerate(arch.layers):
        got = None
        for h in range(layer.heads):
            query, key = t["positions"] @ t[f"layers.{i}.query"][h], t["positions"] @ t[f"layers.{i}.key"][h]
            score = (query @ Ball(key.mid.T, key.rad.T)) * Ball.exact(np.float64(layer.scale))
            e = exp(score - Ball.exact(score.mid.max(axis=1, keepdims=True)))
            low, high = np.maximum(e.low, 0.0), e.high
            low, high = low / sum_high(high, axis=1)[:, None], high / sum_low(low, axis=1)[:, None]
            mid = low / 2 + high / 2
            weight = Ball(mid, (high - low) / 2 * (1.0 + 2.0**-50) + mid * 2.0**-50 + 2.0**-1000)
            one = (weight @ x) @ (t[f"layers.{i}.value"][h] @ t[f"layers.{i}.output"][h])
            got = one if got is None else got + one
        assert got is not None
        if layer.skip == "concatenate":
            x = Ball(np.concatenate([got.mid, x.mid], axis=1), np.concatenate([got.rad, x.rad], axis=1))
        else:
            x = got + x
        last = len(layer.hidden)
        for k in range(last + 1):
            x = x @ t[f"layers.{i}.mlp.{k}.weight"] + t[f"layers.{i}.mlp.{k}.bias"][None]
            if k < last:
                low, high = np.maximum(x.low, 0.0), np.maximum(x.high, 0.0)
                mid = low / 2 + high / 2
                x = Ball(mid, np.nextafter(np.maximum(high - mid, mid - low), np.inf))
    return x @ t["readout.weight"] + t["readout.bias"][None]
