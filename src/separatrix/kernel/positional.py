"""Certificate kind `positional`: a compiled positional transformer answers within eps for all reals in the box.

Attention does not depend on the input. Let the ideal net have, in each row, weight 1 on the heaviest node and 0 on all
others. The check is in two parts:
- the ideal net *is* the task's closed form: every layer is one hidden ReLU layer, hence (`relu_form`) exactly a
  maximum, minimum or linear function of the words that a node reads; these compose to the answer (`extremes`,
  `comparators`, where routed inputs, a destination and a payload in one word, are delivered by sorting them);
- the model stays near the ideal net. With A, T the attention of both, X, Y their streams, M_h = V_h O_h:
  A X M - T Y M = (A - T) Y M + A (X - Y) M, so that in the largest norm over nodes and coordinates the received words
  differ by at most sum_h (delta_h |Y| + |X - Y|) |M_h|, with delta_h the largest L1 distance of two rows, and the net
  multiplies a difference by at most the product of its norms.
Source of the construction: Back de Luca et al. 2025, Theorem 5.1.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction

import numpy as np

from separatrix.core.closed_form import Delivered, Extreme, OrderStatistic, PrefixMedian
from separatrix.core.domain import RealAnswer, Reals
from separatrix.core.domain import Sequence as Domain
from separatrix.core.errors import InputError, RejectedError, UnknownError
from separatrix.core.positional import Positional
from separatrix.core.task import Task
from separatrix.kernel import comparators, extremes
from separatrix.kernel.balls import TINY, Ball, exp, sum_high
from separatrix.kernel.case import Case
from separatrix.kernel.relu_form import ReluForm, Row, exact, relu_forms

SLACK = 1.0 + 2.0**-40  # more than the rounding of the few sums and products that it is multiplied onto
MOST_NODES = 2**11
MOST_HEADS = 2**10  # of a layer, so that SLACK covers the sum over them


@dataclass(frozen=True, slots=True)
class Step:
    """One layer of the ideal net, node by node.

    sources: the nodes whose words node i reads, itself first. forms: one form a word, over u = (1, then the words of
    sources[0], then of sources[1], ..).
    """

    sources: tuple[int, ...]
    forms: tuple[ReluForm, ...]


def check_case(case: Case) -> str:
    """The claim in a sentence, or an error."""
    arch, closed, reals, eps = question(case)
    with np.errstate(all="ignore"):  # overflow becomes an infinity, which proves nothing
        error = _check(arch, case.tensors, closed, reals)
    if not error <= eps:
        raise RejectedError(f"outputs are proved within {error:.3g} of the answer, not within {eps:.3g}")
    return f"the model answers {case.where} within {eps:g} for {every(reals)} (error at most {error:.3g}, real)"


def every(reals: Reals) -> str:
    """What the claim is about, in words."""
    return "all reals" if reals.kind == "box" else "all destinations and all real payloads"


def question(case: Case) -> tuple[Positional, list, Reals, float]:
    """The model, the closed form of every output, the inputs, and eps; an error for what this is not about."""
    case.fields()
    case.no_arrays()
    arch, task, n = case.arch, case.task, case.n
    if not isinstance(arch, Positional):
        raise UnknownError("this kind of certificate is about positional transformers")
    domain, outputs = task.domain(n), task.outputs()
    reals = real_inputs(domain)
    if domain.constraint.kind != "product" or domain.positions != n:
        raise UnknownError("the positional check needs one input a node, and no constraint that ties them together")
    if not isinstance(outputs, RealAnswer) or outputs.dim != 1 or domain.lengths or domain.vocabulary != 1:
        raise UnknownError("the positional check needs one real output a position, and no symbols")
    if (arch.nodes - arch.sinks, arch.reals, arch.outputs) != (n, reals.dim, 1):
        raise RejectedError(f"the model is not for {n} nodes of {reals.dim} real words each, and one output")
    if max(layer.heads for layer in arch.layers) > MOST_HEADS:
        raise UnknownError(f"the check covers up to {MOST_HEADS} heads a layer")
    if arch.nodes > MOST_NODES or any(len(layer.hidden) != 1 or layer.skip != "concatenate" for layer in arch.layers):
        raise UnknownError(f"the check covers one hidden layer a round, and up to {MOST_NODES} nodes")
    if task.queries(n) != tuple(range(n)):
        raise UnknownError(f"task {task.name} has no closed form")
    return arch, closed_forms(task, n), reals, outputs.eps


def closed_forms(task: Task, n: int) -> list:
    """The answer's formula at every position; UnknownError where there is none, or there are more than can be held."""
    closed, room = [], extremes.MOST_ENTRIES
    for query in range(n):  # they grow with the position: the first that is too long is not much too long
        form = task.closed_form(n, query)
        if form is None:
            raise UnknownError(f"task {task.name} has no closed form")
        room -= form.forms.size if isinstance(form, Extreme) else 0
        if room < 0:
            raise UnknownError("the answers are extremes of too many linear forms")
        closed.append(form)
    return closed


def real_inputs(domain: Domain) -> Reals:
    """The real parts of a domain, one number a position or a routed one; UnknownError for any other domain."""
    if domain.reals is None or (domain.reals.kind, domain.reals.dim) not in (("box", 1), ("routed", 2)):
        raise UnknownError("this kind of certificate is about real numbers in a box, routed or not")
    return domain.reals


def scale_of(reals: Reals) -> float:
    """The largest size of an input, destinations aside."""
    return max(abs(reals.low), abs(reals.high))


def start(
    arch: Positional, tensors: Mapping[str, np.ndarray], closed: list, reals: Reals
) -> comparators.State | extremes.State:
    """The words of the first map, exactly; an error for answers that neither check of the ideal net is about."""
    if not all(np.isfinite(Ball.exact(tensor).rad).all() for tensor in tensors.values()):
        raise InputError("an integer weight is too long for a float")
    given = [[Fraction(v) for v in row] for row in (tensors["embed.bias"].tolist(), *tensors["embed.linear"].tolist())]
    if reals.kind == "routed":
        if not all(isinstance(form, Delivered) for form in closed):
            raise UnknownError("of routed inputs, the check is about the payload of each destination alone")
        return comparators.start(arch, given, (len(closed),), Fraction(reals.high) - Fraction(reals.low))
    if all(isinstance(form, OrderStatistic) for form in closed):
        return comparators.start(arch, given, (len(closed),))
    if all(isinstance(form, PrefixMedian) for form in closed):
        return comparators.start(arch, given, tuple(sorted({form.length for form in closed})))
    if len({form.of for form in closed if isinstance(form, Extreme)}) == 1 and isinstance(closed[0], Extreme):
        return extremes.start(arch, given, closed[0].of)
    raise UnknownError("the closed forms are of different kinds")


def finish(state: comparators.State | extremes.State, tensors: Mapping[str, np.ndarray], closed: list) -> None:
    """RejectedError unless the ideal net's outputs are the closed forms."""
    weight, bias = (exact(np.atleast_2d(tensors[f"readout.{name}"])) for name in ("weight", "bias"))
    state.agrees(closed, [row[0] for row in weight], bias[0][0])


def _check(arch: Positional, tensors: Mapping[str, np.ndarray], closed: list, reals: Reals) -> float:
    """A bound of the error at any output, or an error."""
    state, scale = start(arch, tensors, closed, reals), scale_of(reals)
    t = {name: Ball.exact(tensor) for name, tensor in tensors.items()}
    most, error = state.largest(scale), 0.0
    for i in range(len(arch.layers)):
        targets, leak = _pattern(arch, t, i)
        mixing = [t[f"layers.{i}.value"][h] @ t[f"layers.{i}.output"][h] for h in range(len(targets))]
        state = state.after(steps(arch, tensors, i, targets))
        size = [_norm(mix) for mix in mixing]
        # TINY before each factor that could magnify what has underflowed
        got = sum(m * (delta * most + error + TINY) for m, delta in zip(size, leak, strict=True)) * SLACK
        for k in (0, 1):
            error = (max(got, error) if k == 0 else error) + TINY
            error = error * _norm(t[f"layers.{i}.mlp.{k}.weight"]) * SLACK
        error += TINY
        most = state.largest(scale)
    finish(state, tensors, closed)
    return error * _norm(t["readout.weight"]) * SLACK + TINY


def _norm(matrix: Ball) -> float:
    """A float above the norm of u -> u @ matrix in the largest-entry norm: the largest column sum of |entries|."""
    return float(sum_high(np.abs(matrix.mid) + matrix.rad, axis=0).max())


def _pattern(arch: Positional, t: Mapping[str, Ball], i: int) -> tuple[np.ndarray, list[float]]:
    """(heads, nodes) the heaviest node of each row, and per head a bound of sum_j |A_ij - [j is it]| over all rows."""
    layer, targets, leaks = arch.layers[i], [], []
    for h in range(layer.heads):
        query, key = t["positions"] @ t[f"layers.{i}.query"][h], t["positions"] @ t[f"layers.{i}.key"][h]
        score = (query @ Ball(key.mid.T, key.rad.T)) * Ball.exact(np.float64(layer.scale))
        target = score.mid.argmax(axis=1)
        rows = np.arange(arch.nodes)
        others = exp(score - score[rows, target][:, None]).high
        others[rows, target] = 0.0
        if not np.isfinite(others).all():
            raise RejectedError(f"layer {i}, head {h}: an attention row is not finite")
        # 1 - A_target = sum of others / (1 + sum of others) is at most their sum
        leaks.append(2.0 * float(sum_high(others, axis=1).max()))
        targets.append(target)
    return np.stack(targets), leaks


def steps(arch: Positional, tensors: Mapping[str, np.ndarray], i: int, targets: np.ndarray) -> list[Step]:
    """What every node computes in layer i of the ideal net; nodes that read in the same manner share their forms."""
    d, hidden = arch.width, arch.layers[i].hidden[0]
    value, output = tensors[f"layers.{i}.value"], tensors[f"layers.{i}.output"]
    mixing = [_product(exact(value[h]), exact(output[h])) for h in range(len(targets))]  # (d, d) each
    inner, outer = exact(tensors[f"layers.{i}.mlp.0.weight"]), exact(tensors[f"layers.{i}.mlp.1.weight"])
    biases = [[Fraction(v) for v in tensors[f"layers.{i}.mlp.{k}.bias"].tolist()] for k in (0, 1)]
    through = [_product(mix, inner[:d]) for mix in mixing]  # what a source's words add to every hidden unit, per head
    seen: dict[tuple[int, ...], tuple[ReluForm, ...]] = {}
    found = []
    for node in range(arch.nodes):
        sources = [node]
        for target in targets[:, node].tolist():
            if target not in sources:
                sources.append(target)
        pattern = tuple(sources.index(target) for target in targets[:, node].tolist())
        if pattern not in seen:
            blocks = [inner[d:]] + [[[Fraction(0)] * hidden for _ in range(d)] for _ in sources[1:]]
            for h, slot in enumerate(pattern):
                blocks[slot] = [
                    [a + b for a, b in zip(x, y, strict=True)] for x, y in zip(blocks[slot], through[h], strict=True)
                ]
            columns = [biases[0], *(row for block in blocks for row in block)]  # (1 + words) x hidden
            units: list[Row] = [tuple(column[u] for column in columns) for u in range(hidden)]
            seen[pattern] = tuple(relu_forms(units, outer, biases[1]))
        found.append(Step(tuple(sources), seen[pattern]))
    return found


def _product(a: list[list[Fraction]], b: list[list[Fraction]]) -> list[list[Fraction]]:
    """A matrix product that skips zeros."""
    out = [[Fraction(0)] * len(b[0]) for _ in a]
    for i, row in enumerate(a):
        for k, x in enumerate(row):
            if x:
                out[i] = [y + x * z if z else y for y, z in zip(out[i], b[k], strict=True)]
    return out
