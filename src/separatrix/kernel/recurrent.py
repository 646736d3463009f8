"""Recurrent ReLU nets on one input in exact arithmetic: stored weights are dyadic, and so is all that follows.

A vector is Python integers and one exponent e: entry i stands for values[i] / 2^e. No rounding, so a tie is a tie.
Sigmoid and tanh leave these numbers; nets with them are evaluated in Arb (`arb_recurrent`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from separatrix.core.errors import RejectedError, UnknownError
from separatrix.core.recurrent import DiagonalSsm, Elman, FixedPoint, Recurrent
from separatrix.kernel.case import Case

MOST_WORK = 2**32  # products of 64-bit words; above, numbers are too long to be quick


@dataclass(frozen=True, slots=True)
class Dyadic:
    """values / 2^exponent; `values` holds Python integers, a vector or a matrix."""

    values: np.ndarray
    exponent: int

    @classmethod
    def of(cls, array: np.ndarray) -> Dyadic:
        """Exactly these finite floats or integers."""
        ratios = [float(v).as_integer_ratio() if array.dtype.kind == "f" else (int(v), 1) for v in array.ravel()]
        exponent = max((bottom.bit_length() - 1 for _, bottom in ratios), default=0)
        values = [top << (exponent + 1 - bottom.bit_length()) for top, bottom in ratios]
        return cls(np.array([*values, None], dtype=object)[:-1].reshape(array.shape), exponent)

    def __add__(self, other: Dyadic) -> Dyadic:
        e = max(self.exponent, other.exponent)
        return Dyadic(self._at(e) + other._at(e), e)

    def __matmul__(self, matrix: Dyadic) -> Dyadic:
        return Dyadic(self.values @ matrix.values, self.exponent + matrix.exponent)

    def times(self, other: Dyadic) -> Dyadic:
        """Entry by entry."""
        return Dyadic(self.values * other.values, self.exponent + other.exponent)

    def minus(self) -> Dyadic:
        """The negative."""
        return Dyadic(-self.values, self.exponent)

    def relu(self) -> Dyadic:
        """max(x, 0) of every entry."""
        return Dyadic(np.maximum(self.values, 0), self.exponent)

    def short(self) -> Dyadic:
        """The same numbers with the least exponent that is not negative."""
        common = int(np.bitwise_or.reduce(np.abs(self.values))) if len(self.values) else 0
        spare = min(self.exponent, (common & -common).bit_length() - 1) if common else self.exponent
        return Dyadic(self.values >> spare, self.exponent - spare)

    def rounded(self, grid: FixedPoint) -> Dyadic:
        """Every entry to the nearest multiple of 2^-fraction, half to even, and clipped to `bits` bits."""
        shift, top = self.exponent - grid.fraction, 1 << (grid.bits - 1)
        if shift <= 0:
            steps = [v << -shift for v in self.values.tolist()]
        else:
            half, steps = 1 << (shift - 1), []
            for v in self.values.tolist():
                below, rest = v >> shift, v & ((1 << shift) - 1)
                steps.append(below + (rest > half or (rest == half and below % 2)))
        clipped = [max(-top, min(top - 1, k)) for k in steps]
        scale = max(0, -grid.fraction)
        return Dyadic(np.array([*(k << scale for k in clipped), None], dtype=object)[:-1], max(0, grid.fraction))

    def _at(self, exponent: int) -> np.ndarray:
        return self.values << (exponent - self.exponent)

    def __getitem__(self, index: int | slice) -> Dyadic:
        return Dyadic(self.values[index], self.exponent)


def logits(case: Case, arch: Recurrent, tokens: np.ndarray, query: int) -> Dyadic:
    """(outputs,) of one input (positions,) at one position, before any argmax; UnknownError where it is not dyadic."""
    if not all(isinstance(c, DiagonalSsm) or (isinstance(c, Elman) and c.activation == "relu") for c in arch.layers):
        raise UnknownError("exact arithmetic is for ReLU recurrences")
    check_input(case, arch, tokens)
    t = {name: Dyadic.of(tensor) for name, tensor in case.tensors.items() if not name.startswith("embed.")}
    _require_short(arch, t, query + 1)
    states = [_keep(arch, t[f"layers.{i}.start"]) for i in range(len(arch.layers))]
    x = Dyadic.of(np.zeros(0))
    for j, row in enumerate(tokens[: query + 1].tolist()):
        x = Dyadic.of(case.tensors["embed.token"][row])
        if arch.first.positions:
            x = x + Dyadic.of(case.tensors["embed.position"][j])
        for i in range(len(arch.layers)):
            states[i], x = _step(arch, t, i, states[i], x)
    return x @ t["readout.weight"] + t["readout.bias"]


def errs(case: Case, arch: Recurrent, tokens: np.ndarray, query: int, label: int) -> int | None:
    """A rival whose logit is at least the label's, on this input; None where the label wins."""
    values = logits(case, arch, tokens, query).values.tolist()
    rivals = [c for c in range(len(values)) if c != label and values[c] >= values[label]]
    return max(rivals, key=lambda c: values[c], default=None)


def check_input(case: Case, arch: Recurrent, tokens: np.ndarray) -> None:
    """RejectedError unless the model's tables know every token of the input and every position."""
    if int(tokens.max()) >= arch.first.vocabulary:
        raise RejectedError("the model does not know a token of this input")
    if arch.first.positions and len(tokens) > arch.first.positions:
        raise RejectedError("the input is longer than the model's table of positions")


def _step(arch: Recurrent, t: Mapping[str, Dyadic], i: int, old: Dyadic, x: Dyadic) -> tuple[Dyadic, Dyadic]:
    """State and output of layer i after a position where it reads x."""
    layer = arch.layers[i]
    drive = x @ t[f"layers.{i}.in"] + t[f"layers.{i}.bias"]
    if isinstance(layer, DiagonalSsm):
        u, diagonal = layer.units, t[f"layers.{i}.diagonal"]
        re, im, left, right = diagonal[0], diagonal[1], old[:u], old[u:]
        real = re.times(left) + im.times(right).minus() + drive[:u]
        imaginary = re.times(right) + im.times(left) + drive[u:]
        e = max(real.exponent, imaginary.exponent)
        new = Dyadic(np.concatenate([real._at(e), imaginary._at(e)]), e)
        new = _keep(arch, new)
        out = new @ t[f"layers.{i}.out"] + x @ t[f"layers.{i}.skip"] + t[f"layers.{i}.out_bias"]
        return new, out.relu().short()
    new = _keep(arch, (drive + old @ t[f"layers.{i}.recurrent"]).relu())
    return new, new


def _keep(arch: Recurrent, state: Dyadic) -> Dyadic:
    return state.rounded(arch.state) if isinstance(arch.state, FixedPoint) else state.short()


def _require_short(arch: Recurrent, t: Mapping[str, Dyadic], steps: int) -> None:
    """UnknownError where exact numbers would grow too long: their length grows by that of the weights at each step."""
    numbers = sum(tensor.values.size for tensor in t.values())
    bits = sum(
        max((abs(v).bit_length() for v in tensor.values.ravel().tolist()), default=0) + tensor.exponent
        for name, tensor in t.items()
        if name.rsplit(".", 1)[-1] in ("in", "recurrent", "diagonal", "out")
    )
    grown = 1 if isinstance(arch.state, FixedPoint) else steps
    if numbers * steps * (bits * grown // 64 + 1) > MOST_WORK:
        raise UnknownError(f"exact numbers grow too long over {steps} positions")
