"""One attention layer over pointer sets, taken apart: scores that depend on the query's pointer set and on positions.

Let the stream be (z ; key ; query). Where every W_Q reads the query block only and every W_K the key block only, the
weights a_hj of head h do not depend on z or on anybody else's pointers. Where W_V W_O W_R maps the z block by M_h and
the other blocks to 0, exactly, the model's error at a token with answer sum_j t_j z_j is
    |sum_j (sum_h a_hj M_h - t_j I) z_j|.
Write M_h = c_h I + E_h. The weights of a head add up to 1, so the error for z in the unit ball is, up to sum_h |E_h|,
    at most sum_j |sum_h c_h a_hj - t_j|,
which is reached at z_j = +-e. (Constructions have E_h = 0; the rounding of the products is all that is left of it.)
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from separatrix.core.arch import Arch, Attention, PointerSet
from separatrix.core.errors import RejectedError, UnknownError
from separatrix.kernel.balls import TINY, Ball, exp, sum_high, sum_low, up
from separatrix.kernel.case import Case
from separatrix.kernel.pointer_map import queries, query_width
from separatrix.tasks.sparse_averaging import SparseAveraging
from separatrix.tasks.sparse_propagation import SparsePropagation

MORE, LESS = 1.0 + 2.0**-50, 1.0 - 2.0**-50  # a few rounding errors of numbers that do not underflow


@dataclass(frozen=True, slots=True)
class Head:
    """query (query_width, m), key (key_width, m): what W_Q and W_K do to their blocks; share: c_h."""

    query: np.ndarray
    key: np.ndarray
    share: float

    @property
    def selects(self) -> bool:
        """Whether score = <query block, key block>, exactly: both maps are the same permutation into m >= width."""
        rows_once = (np.count_nonzero(self.key, axis=1) == 1).all() and (np.count_nonzero(self.key, axis=0) <= 1).all()
        return np.array_equal(self.query, self.key) and bool(rows_once) and set(np.unique(self.key)) <= {0.0, 1.0}


@dataclass(frozen=True, slots=True)
class PointerModel:
    """The parts of a model that `of` found to have the structure above.

    sharpness: temperature times scale, what multiplies <query, key>. leak: above sum_h |E_h|.
    """

    task: SparseAveraging
    n: int
    first: PointerSet
    tensors: Mapping[str, np.ndarray]
    sharpness: Ball
    heads: tuple[Head, ...]
    leak: float

    @classmethod
    def of(cls, case: Case) -> PointerModel:
        """Takes the model apart; UnknownError where it is built otherwise, RejectedError where it misfits the task."""
        task, (_, first, layer) = averaging(case), parts(case)
        width = query_width(first)
        z, key, query = slice(0, task.dim), slice(task.dim, task.dim + first.key_width), slice(-width, None)
        tensors = floats(case.tensors)
        if tensors["readout.bias"].any():
            raise UnknownError("the read-out has a bias")
        heads, leaks = [], []
        for h in range(layer.heads):
            w_q, w_k, w_v, w_o = (tensors[f"layers.0.{name}"][h] for name in ("query", "key", "value", "output"))
            if w_q[z].any() or w_q[key].any() or w_k[z].any() or w_k[query].any():
                raise UnknownError("scores depend on more than the query's pointer set and the key's position")
            through_head = Ball.exact(w_v) @ (Ball.exact(w_o) @ Ball.exact(tensors["readout.weight"]))
            if not through_head[task.dim :].is_zero().all():
                raise UnknownError("keys or queries reach the output")
            share = float(through_head.mid[0, 0])
            if not 0.0 <= share < 2.0**20:
                raise UnknownError("a head carries z with a negative or huge factor")
            rest = through_head[z] - Ball.exact(share * np.eye(task.dim))
            squares = up((np.abs(rest.mid) + rest.rad) ** 2)
            leaks.append(up(np.sqrt(sum_high(squares.reshape(-1)))))  # Frobenius norm, above the operator norm
            heads.append(Head(w_q[query], w_k[key], share))
        sharpness = Ball.exact(tensors["embed.temperature"]) * Ball.exact(np.float64(layer.scale))
        return cls(task, case.n, first, case.tensors, sharpness, tuple(heads), float(sum_high(np.array(leaks))))

    def scores(self, head: Head, rows: Ball) -> Ball:
        """(rows, N) scores of query blocks (rows, query_width); stored keys."""
        keys = through(Ball.exact(self.tensors["embed.keys"]), head.key)
        return (through(rows, head.query) @ Ball(keys.mid.T, keys.rad.T)) * self.sharpness

    def errors(self, sets: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """(sets,) floats below and above the worst error over z at a token that points at each of `sets` (sets, q)."""
        rows = queries(self.first, self.tensors, sets)
        low, high = np.zeros((len(sets), self.n)), np.zeros((len(sets), self.n))
        for head in self.heads:
            a_low, a_high = weights(self.scores(head, rows))
            low = np.maximum((low + head.share * a_low) * LESS - TINY, 0.0)
            high = (high + head.share * a_high) * MORE + TINY
        t_low, t_high = np.zeros_like(low), np.zeros_like(low)
        np.put_along_axis(t_low, sets, LESS / self.task.q, axis=1)
        np.put_along_axis(t_high, sets, MORE / self.task.q, axis=1)
        above = np.maximum(high - t_low, t_high - low) * MORE + TINY  # a difference and a product: relative errors
        below = np.maximum(np.maximum(low - t_high, t_low - high), 0.0) * LESS
        most = up(sum_high(above, axis=1) + self.leak)
        return np.nextafter(sum_low(below, axis=1) - self.leak, -np.inf), most


def floats(tensors: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """All tensors but integer nodes as float64, unchanged in value; UnknownError for integers of 53 bits or more."""
    rest = {name: tensor for name, tensor in tensors.items() if name != "embed.nodes"}
    if any(t.dtype.kind == "i" and ((t > 2**52) | (t < -(2**52))).any() for t in rest.values()):
        raise UnknownError("a stored integer is longer than a float64 significand")
    return {name: tensor.astype(np.float64) for name, tensor in rest.items()}


def averaging(case: Case) -> SparseAveraging:
    """The task, if this kind is about it."""
    if not isinstance(case.task, SparseAveraging):
        raise RejectedError(f"pointer-set certificates are about sparse-averaging, not {case.task.name}")
    case.task.domain(case.n)
    return case.task


def pointing(case: Case) -> SparseAveraging | SparsePropagation:
    """The task, if its tokens point at others."""
    return case.task if isinstance(case.task, SparsePropagation) else averaging(case)


def parts(case: Case) -> tuple[Arch, PointerSet, Attention]:
    """The model's parts, if it is one softmax layer over pointer sets that fits the task (blank: propagation only)."""
    task, arch = pointing(case), case.model()
    first, layer = arch.first, arch.layers[0]
    if len(arch.layers) != 1 or not isinstance(layer, Attention) or not isinstance(first, PointerSet):
        raise UnknownError("this check needs one attention layer on a pointer-set first map")
    if arch.blank and not isinstance(task, SparsePropagation):
        raise UnknownError("this check needs a model without a blank")
    if layer.residual or layer.mask != "none" or layer.norm != "none" or layer.weights != "softmax":
        raise UnknownError("this check needs softmax attention without mask, norm or residual path")
    if not math.isfinite(layer.scale):
        raise RejectedError("the scale of the scores is not a finite number")
    if arch.readout.decision != "reals" or arch.readout.outputs != task.dim:
        raise RejectedError(f"the model's read-out is not of {task.dim} real numbers")
    if (first.positions, first.pointers, first.reals) != (case.n, task.q, task.dim):
        raise RejectedError("the model's first map does not fit the task's N, q and dim")
    if first.key_width < 1 or arch.width != task.dim + first.key_width + query_width(first):
        raise RejectedError("the stream is not as wide as z, key and query together")
    return arch, first, layer


def through(rows: Ball, matrix: np.ndarray) -> Ball:
    """rows @ matrix; a choice of columns is made exactly."""
    if (np.count_nonzero(matrix, axis=0) == 1).all() and (matrix.max(axis=0) == 1.0).all():
        return rows[:, matrix.argmax(axis=0)]
    return rows @ Ball.exact(matrix)


def weights(scores: Ball) -> tuple[np.ndarray, np.ndarray]:
    """Intervals (low, high) of the softmax of each row; [0, inf] or NaN where the scores are not known well enough."""
    e = exp(scores - Ball.exact(scores.mid.max(axis=1, keepdims=True)))
    low, high = np.maximum(e.low, 0.0), e.high
    whole_low, whole_high = sum_low(low, axis=1)[:, None], sum_high(high, axis=1)[:, None]
    whole_low = np.where(whole_low > 0.5, whole_low, np.nan)  # the greatest score alone gives about 1
    return np.maximum(low / whole_high * LESS - TINY, 0.0), np.minimum(high / whole_low * MORE + TINY, 1.0)
