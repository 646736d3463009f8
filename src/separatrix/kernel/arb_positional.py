"""Kinds `positional` and `positional-counterexample` in Arb: leaks, norms and whole models.

What the ideal net computes is exact for either engine (rationals, and integers in floats): `positional` walks through
it here too. Its distance from the model is bounded again, without the float64 engine's balls.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from separatrix.core.closed_form import Delivered, Extreme, OrderStatistic
from separatrix.core.domain import RealAnswer, Reals
from separatrix.core.errors import RejectedError
from separatrix.core.positional import Positional
from separatrix.kernel import arb_arrays as ab
from separatrix.kernel import positional, positional_counterexample
from separatrix.kernel.arb_arrays import Arbs, at_some_precision, decide
from separatrix.kernel.arb_nets import number
from separatrix.kernel.case import Case
from separatrix.kernel.extremes import State as Extremes

MOST_NODES = 2**7  # whose answer is computed from its formula, which may have a form for every run of them


def check_positional(case: Case) -> str:
    """The claim in a sentence, or an error."""
    arch, closed, reals, eps = positional.question(case)
    error = at_some_precision(lambda: _bound(case, arch, closed, reals, eps))
    every = positional.every(reals)
    return f"the model answers {case.where} within {eps:g} for {every} (error at most {error:.3g}, real, arb)"


def _bound(case: Case, arch: Positional, closed: list, reals: Reals, eps: float) -> float:
    t = {name: ab.arbs(tensor) for name, tensor in case.tensors.items()}
    state, error = positional.start(arch, case.tensors, closed, reals), ab.zero()
    scale = positional.scale_of(reals)
    for i in range(len(arch.layers)):
        most = _largest(state, scale)
        targets, leak = _pattern(arch, t, i)
        mixing = [ab.dot(v, o) for v, o in zip(t[f"layers.{i}.value"], t[f"layers.{i}.output"], strict=True)]
        state = state.after(positional.steps(arch, case.tensors, i, targets))
        got: Any = sum((_norm(m) * (delta * most + error) for m, delta in zip(mixing, leak, strict=True)), ab.zero())
        error = got.max(error) * _norm(t[f"layers.{i}.mlp.0.weight"]) * _norm(t[f"layers.{i}.mlp.1.weight"])
    positional.finish(state, case.tensors, closed)
    error = (error * _norm(t["readout.weight"])).upper()
    at = f"outputs are proved within {float(error.mid()):.3g} of the answer, not within {eps:.3g}"
    if not decide(error <= eps, error > eps, at):
        raise RejectedError(at)
    return float(error.mid())


def _largest(state: Any, scale: float) -> Any:
    """A bound of |word| over all nodes, coordinates and inputs in [-scale, scale]."""
    if not isinstance(state, Extremes):
        return number(state.largest(scale))
    most = ab.zero()
    for forms in (forms for node in state.words for forms in node):
        for row in ab.size(ab.arbs(forms)):
            most = most.max(row[0] + ab.total(row[1:]) * scale)
    return most


def _norm(matrix: Arbs) -> Any:
    """The norm of u -> u @ matrix in the largest-entry norm: the largest column sum of |entries|."""
    return ab.greatest(ab.size(np.atleast_2d(matrix)).sum(axis=0))


def _pattern(arch: Positional, t: dict[str, Arbs], i: int) -> tuple[np.ndarray, list[Any]]:
    """(heads, nodes) the heaviest node of each row, and per head a bound of sum_j |A_ij - [j is it]| over all rows."""
    layer, targets, leaks = arch.layers[i], [], []
    for h in range(layer.heads):
        score = _scores(arch, t, i, h)
        target = ab.mid(score).argmax(axis=1)
        others = ab.exp(score - score[np.arange(arch.nodes), target][:, None])
        others[np.arange(arch.nodes), target] = ab.zero()
        if not ab.finite(others).all():
            raise RejectedError(f"layer {i}, head {h}: an attention row is not finite")
        rest = ab.total(others)  # 1 - A_target = rest / (1 + rest)
        leaks.append(ab.greatest(2 * rest / (1 + rest)))
        targets.append(target)
    return np.stack(targets), leaks


def _scores(arch: Positional, t: dict[str, Arbs], i: int, h: int) -> Arbs:
    query, key = (ab.dot(t["positions"], t[f"layers.{i}.{name}"][h]) for name in ("query", "key"))
    return ab.dot(query, key.T) * number(arch.layers[i].scale)


def check_positional_counterexample(case: Case) -> str:
    """Evaluates the model on the input of the evidence, and compares with the task's answer."""
    arch, x, query = positional_counterexample.question(case)
    outputs, n = case.task.outputs(), case.n
    assert isinstance(outputs, RealAnswer)

    def least() -> Any:
        closed = case.task.closed_form(n, query) if n <= MOST_NODES else None
        if isinstance(closed, OrderStatistic):
            right = number(sorted(x[:, 0].tolist())[closed.rank])
        elif isinstance(closed, Delivered):
            right = number(float(x[x[:, 0] == closed.destination, 1][0]))
        elif isinstance(closed, Extreme):
            values = ab.dot(ab.arbs(closed.forms), ab.arbs(x[:, 0]))
            right = ab.greatest(values) if closed.of == "max" else ab.least(values)
        else:
            right = positional_counterexample.enclosed_answer(case, x, query)
            right = number(right[0]).union(number(right[1]))
        off = abs(_forward(arch, {name: ab.arbs(tensor) for name, tensor in case.tensors.items()}, x)[query, 0] - right)
        at = "the model's answer on this input is not proved to be wrong"
        if not decide(off > outputs.eps, off <= outputs.eps, at):
            raise RejectedError(at)
        return off.lower()

    off = float(at_some_precision(least).mid())
    return (
        f"the model errs at {case.where}: position {query} is off by at least {off:.3g}, "
        f"more than {outputs.eps:g} (arb)"
    )


def _forward(arch: Positional, t: dict[str, Arbs], words: np.ndarray) -> Arbs:
    """(nodes, 1) outputs."""
    x = ab.dot(ab.arbs(np.pad(words, ((0, arch.sinks), (0, 0)))), t["embed.linear"]) + t["embed.bias"]
    for i, layer in enumerate(arch.layers):
        got = ab.zeros(*x.shape)
        for h in range(layer.heads):
            score = _scores(arch, t, i, h)
            e = ab.exp(score - ab.arbs(ab.mid(score).max(axis=1))[:, None])
            mix = ab.dot(t[f"layers.{i}.value"][h], t[f"layers.{i}.output"][h])
            got = got + ab.dot(ab.dot(e / ab.total(e)[:, None], x), mix)
        x = np.concatenate([got, x], axis=1) if layer.skip == "concatenate" else got + x
        for k in range(len(layer.hidden) + 1):
            x = ab.dot(x, t[f"layers.{i}.mlp.{k}.weight"]) + t[f"layers.{i}.mlp.{k}.bias"]
            x = ab.relu(x) if k < len(layer.hidden) else x
    return ab.dot(x, t["readout.weight"]) + t["readout.bias"]
