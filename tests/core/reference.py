"""What the kernel is tested against: arb evaluation, enumeration, random heads. It shares no code with it."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
from flint import arb, arb_mat, ctx

from separatrix.core.arch import Arch, Attention, FeedForward, LayerNorm, Readout, Table
from separatrix.core.domain import CellGroup, Labels, Sequence
from separatrix.core.errors import SeparatrixError
from separatrix.core.semantics import REAL, Semantics
from separatrix.core.task import Task
from separatrix.kernel.separable import check
from separatrix.models.evaluate import evaluate
from separatrix.models.model import Model

BITS = 300


@contextmanager
def precision(bits: int = BITS) -> Iterator[None]:
    """arb works with `bits` bits inside."""
    before = ctx.prec
    ctx.prec = bits
    try:
        yield
    finally:
        ctx.prec = before


def exact(array: np.ndarray) -> arb_mat:
    """The matrix with exactly these entries."""
    rows = [[arb(int(v)) if array.dtype.kind in "iu" else arb(float(v)) for v in row] for row in array.tolist()]
    return arb_mat(array.shape[0], array.shape[1], [v for row in rows for v in row])


def arb_logits(model: Model, tokens: np.ndarray, query: int) -> list[arb]:
    """Logits of one input at one position, as balls of 300 bits."""
    with precision():
        t, arch = model.tensors, model.arch
        assert isinstance(arch.first, Table)
        x = exact(t["embed.token"][tokens])
        if arch.first.positions:
            x = x + exact(t["embed.position"][: len(tokens)])
        rows = [[x[i, c] for c in range(arch.width)] for i in range(len(tokens))]
        if arch.blank:
            blank = exact(t["embed.blank"][None])
            rows.append([blank[0, c] for c in range(arch.width)])
        for i, layer in enumerate(arch.layers):
            x = arb_mat(len(rows), arch.width, [v for row in rows for v in row])
            if isinstance(layer, LayerNorm):
                x = _norm(x, t[f"layers.{i}.scale"], t.get(f"layers.{i}.bias"), layer.eps)
            else:
                seen = x
                if layer.norm == "pre":
                    scale, bias, eps = (t[f"layers.{i}.norm_{name}"] for name in ("scale", "bias", "eps"))
                    seen = _norm(x, scale, bias, float(eps))
                out = _attention(t, i, layer, seen) if isinstance(layer, Attention) else _feed(t, i, seen)
                x = out + x if layer.residual else out
            rows = [[x[r, c] for c in range(arch.width)] for r in range(len(rows))]
        last = arb_mat(1, arch.width, rows[query])
        logits = last * exact(t["readout.weight"]) + exact(t["readout.bias"][None])
        return [logits[0, k] for k in range(arch.readout.outputs)]


def _norm(x: arb_mat, scale: np.ndarray, bias: np.ndarray | None, eps: float) -> arb_mat:
    entries = []
    for r in range(x.nrows()):
        row = [x[r, c] for c in range(x.ncols())]
        mean = sum(row, arb(0)) / len(row)
        deviation = (sum(((v - mean) * (v - mean) for v in row), arb(0)) / len(row) + arb(eps)).sqrt()
        shift = np.zeros(len(row)) if bias is None else bias
        entries += [
            (v - mean) / deviation * arb(float(s)) + arb(float(b)) for v, s, b in zip(row, scale, shift, strict=True)
        ]
    return arb_mat(x.nrows(), x.ncols(), entries)


def _attention(t: Mapping[str, np.ndarray], i: int, layer: Attention, x: arb_mat) -> arb_mat:
    total = arb_mat(x.nrows(), x.ncols())
    for h in range(layer.heads):
        q, k, v, o = (exact(t[f"layers.{i}.{name}"][h]) for name in ("query", "key", "value", "output"))
        scores = (x * q) * (x * k).transpose() * arb(layer.scale)
        values = x * v
        head = arb_mat(x.nrows(), layer.value_width)
        for r in range(x.nrows()):
            seen = range(r + 1) if layer.mask == "causal" else range(x.nrows())
            e = {j: scores[r, j].exp() for j in seen}
            z = sum(e.values(), arb(0))
            for c in range(layer.value_width):
                head[r, c] = sum((e[j] * values[j, c] for j in seen), arb(0)) / z
        total = total + head * o
    return total


def _feed(t: Mapping[str, np.ndarray], i: int, x: arb_mat) -> arb_mat:
    inner = x * exact(t[f"layers.{i}.in"])
    for r in range(inner.nrows()):
        for c in range(inner.ncols()):
            value = inner[r, c] + arb(float(t[f"layers.{i}.in_bias"][c]))
            inner[r, c] = value.max(arb(0))
    out = inner * exact(t[f"layers.{i}.out"])
    for r in range(out.nrows()):
        for c in range(out.ncols()):
            out[r, c] = out[r, c] + arb(float(t[f"layers.{i}.out_bias"][c]))
    return out


def label_of(task: Task, n: int, tokens: np.ndarray, query: int) -> int:
    """The right answer at one scored position."""
    return int(task.answer(tokens[None])[0, task.queries(n).index(query)])


def arb_right(model: Model, task: Task, n: int, tokens: np.ndarray, query: int) -> bool | None:
    """True: proved right. False: proved wrong (or an exact tie of equal balls). None: not separated at 300 bits."""
    logits, label = arb_logits(model, tokens, query), label_of(task, n, tokens, query)
    with precision():
        margins = [logits[label] - other for k, other in enumerate(logits) if k != label]
        if all(m > 0 for m in margins):
            return True
        return False if any(m <= 0 for m in margins) else None


def all_inputs(task: Task, n: int) -> np.ndarray:
    """(inputs, positions): the whole domain."""
    return np.array(list(itertools.product(*(np.asarray(a).tolist() for a in task.domain(n).alphabets))))


def worst(model: Model, task: Task, n: int) -> tuple[float, np.ndarray, int]:
    """The least float64 margin over the domain and the scored positions, its input and query."""
    tokens, queries = all_inputs(task, n), list(task.queries(n))
    logits = evaluate(model, tokens, queries=queries)
    labels = task.answer(tokens)[..., None]
    right = np.take_along_axis(logits, labels, axis=2)[..., 0]
    np.put_along_axis(logits, labels, -np.inf, axis=2)
    margin = right - logits.max(axis=2)
    at, q = np.unravel_index(int(margin.argmin()), margin.shape)
    return float(margin[at, q]), tokens[at], queries[q]


def accepts(model: Model, task: Task, n: int, semantics: Semantics = REAL) -> bool:
    """Whether the separable check accepts."""
    try:
        check(task, n, model.arch, model.tensors, semantics)
    except SeparatrixError:
        return False
    return True


@dataclass(frozen=True)
class Mixed(Task):
    """A test task: the answer at each scored position is how often symbol 0 stands elsewhere, capped at `most`.

    Position j holds one of the symbols 0 .. or 1 .., from an alphabet of its own. Cells force symbol 0, which their
    background excludes, at every subset of positions.
    """

    vocabulary: int = 4
    most: int = 2
    shift: int = 0

    name = "test-mixed"
    gloss = "how often symbol 0 stands elsewhere"
    source = "these tests"

    def alphabet(self, j: int) -> np.ndarray:
        """Position j's symbols: not all positions may hold 0, and alphabets differ."""
        kind = (j + self.shift) % 3
        top = max(2, self.vocabulary - (j + self.shift) % 2)
        return np.arange(1 if kind == 2 else 0, top)

    def domain(self, n: int) -> Sequence:
        return Sequence(tuple(self.alphabet(j) for j in range(n)), vocabulary=self.vocabulary)

    def outputs(self) -> Labels:
        return Labels(self.most + 1)

    def queries(self, n: int) -> tuple[int, ...]:
        return tuple(range(0, n, 2))

    def answer(self, tokens: np.ndarray, reals: np.ndarray | None = None) -> np.ndarray:
        zero = tokens == 0
        others = zero.sum(axis=1, keepdims=True) - zero
        return np.minimum(others[:, ::2], self.most)

    def cells(self, n: int, query: int) -> Iterator[CellGroup]:
        rest = tuple(a[a > 0] for a in map(self.alphabet, range(n)))
        able = [j for j in range(n) if j != query and self.alphabet(j)[0] == 0]
        for token in self.alphabet(query).tolist():
            for count in range(len(able) + 1):
                subsets = list(itertools.combinations(able, count))
                places = np.array(subsets, dtype=np.int64).reshape(len(subsets), count)
                labels = np.full(len(places), min(count, self.most))
                yield CellGroup(query, token, places, np.zeros_like(places), labels, background=rest)

    def sample(
        self, n: int, size: int, rng: np.random.Generator, distribution: str = "uniform"
    ) -> tuple[np.ndarray, None]:
        return np.stack([rng.choice(self.alphabet(j), size) for j in range(n)], axis=1), None

    def show(self, tokens: np.ndarray, reals: np.ndarray | None = None) -> str:
        return " ".join(map(str, tokens))


def head(
    vocabulary: int,
    positions: int,
    outputs: int,
    width: int,
    *,
    key: int = 2,
    value: int = 2,
    table: bool = True,
    blank: bool = False,
    residual: bool = False,
    scale: float = 1.0,
) -> Arch:
    """One softmax head on a token table."""
    return Arch(
        width,
        Table(vocabulary, positions if table else 0),
        (Attention(1, key, value, scale=scale, residual=residual),),
        Readout(outputs),
        blank=blank,
    )


def random_tensors(arch: Arch, rng: np.random.Generator, size: float = 1.0) -> dict[str, np.ndarray]:
    """Normal entries for every tensor of `arch`."""
    from separatrix.core.shapes import tensor_shapes

    return {name: rng.normal(size=shape) * size for name, shape in tensor_shapes(arch).items()}


def block(width: int, *columns: tuple[int, int, float]) -> np.ndarray:
    """(width, k) selector: entry [row, column] = value for each triple."""
    matrix = np.zeros((width, 1 + max(c for _, c, _ in columns)))
    for row, column, number in columns:
        matrix[row, column] = number
    return matrix


__all__ = ["FeedForward", "Mixed", "accepts", "all_inputs", "arb_logits", "arb_right", "head", "worst"]
