"""What is lost between the values of heads and the stream, or the logits, behind them: each class by its share."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from separatrix.core.domain import Ints
from separatrix.kernel.balls import Ball, up
from separatrix.kernel.contracts.rounded import SAFE, Floats, Product, size_of


@dataclass(frozen=True, slots=True)
class Read:
    """The read-out of a label and its rivals: both logits are rounded.

    Attributes:
        sizes: (d, rivals) |W_R| of the two. count: (rivals,) roundings. constant: (rivals,) what is lost of the biases,
            and by underflow. tiny: (d, rivals) weights that may underflow at rest.
    """

    sizes: np.ndarray
    count: np.ndarray
    constant: np.ndarray
    tiny: np.ndarray

    @classmethod
    def of(cls, floats: Floats, tensors: Mapping[str, np.ndarray], label: int, rivals: Ints) -> Read:
        """Reads the stored tensors."""
        weight, bias = tensors["readout.weight"], tensors["readout.bias"]
        size, own = np.abs(weight.astype(np.float64)), np.abs(bias.astype(np.float64))
        terms = (size > 0).sum(axis=0) + (own > 0)
        sums = np.minimum(floats.spec.depth(len(size)) + 1, np.maximum(terms - 1, 0))
        count = 1.0 + ~(floats.held(weight).all(axis=0) & floats.held(bias)) + sums
        grown, under = floats.grown(count), terms + floats.spec.is_tiny(bias)
        lost = own * grown + floats.spec.least * under * (1.0 + grown)
        tiny = floats.spec.is_tiny(weight)
        return cls(
            size[:, [label]] + size[:, rivals],
            np.maximum(count[label], count[rivals]),
            up((lost[label] + lost[rivals]) * SAFE),
            tiny[:, [label]] + tiny[:, rivals],
        )


@dataclass(frozen=True, slots=True)
class Roundings:
    """What is lost between the values of a layer's heads and the stream behind it.

    Attributes:
        values: of each head, for every class of the stream. output: W_O (H, dv, d). positions: how many are added.
        residual: whether the stream is added. reach: (d,) above the sizes of the stream behind.
        joined: (d,) roundings of the sum of what all heads add to the stream: in one product with all of W_O, or head
            by head, the stream added anywhere.
    """

    floats: Floats
    values: list[Product]
    output: np.ndarray
    positions: int
    residual: bool
    reach: np.ndarray
    joined: np.ndarray

    @classmethod
    def of(
        cls, floats: Floats, box: Ball, tensors: list[np.ndarray], scale: float, residual: bool, positions: int
    ) -> Roundings:
        """tensors: W_Q, W_K, W_V, W_O; RejectedError where something may overflow, in heads that add nothing, too."""
        query, key, value, output = tensors
        spec, (heads, own, width) = floats.spec, output.shape
        values, size = [floats.multiply(box, w) for w in value], size_of(box).max(axis=0)
        for w_query, w_key in zip(query, key, strict=True):
            q, k = (size @ np.abs(w.astype(np.float64)) for w in (w_query, w_key))
            q, k = (part * (1.0 + floats.met(w)) for part, w in ((q, w_query), (k, w_key)))
            grown = floats.grown(1.0 + min(spec.depth(len(q)), max(0, np.count_nonzero(q * k) - 1)))
            floats.require(q, k, q @ k * (1.0 + grown) * max(1.0, abs(scale)), abs(scale))
        depth = spec.depth(own) if heads == 1 else max(spec.depth(heads * own), spec.depth(own) + spec.depth(heads))
        terms = (output != 0).sum(axis=(0, 1)) + residual
        joined = np.minimum(depth + residual, np.maximum(terms - 1, 0)).astype(np.float64)
        reach, grown = size if residual else np.zeros(width), floats.grown(floats.weighing(positions) + 2.0 + joined)
        for v, w in zip(values, output, strict=True):
            most = size_of(v.ball).max(axis=0)
            floats.require(positions * most * (1.0 + grown.max()))
            reach = reach + most @ np.abs(w.astype(np.float64))
        floats.require(reach * (1.0 + grown), positions * (1.0 + grown))
        return cls(floats, values, output, positions, residual, reach * (1.0 + grown) * SAFE, joined)

    def carried(self, box: Ball) -> np.ndarray:
        """(rows, d) radii of the stream that is added, with what it loses by being added."""
        fed = np.zeros(self.output.shape[2], dtype=bool)
        for v, w in zip(self.values, self.output, strict=True):
            fed |= (w[~v.ball.is_zero().all(axis=0)] != 0).any(axis=0)
        return np.where(fed, up(box.rad + size_of(box) * self.floats.grown(self.joined) * SAFE), box.rad)

    def loss(self, h: int, sizes: np.ndarray, count: np.ndarray | float = 0.0) -> np.ndarray:
        """(classes, c) what c sums of head h's values may lose, each class by its share of the weights.

        sizes (d, c): absolute weights that read the stream behind the layer, with `count` (c,) roundings.
        """
        floats, w = self.floats, self.output[h]
        weight, held = np.abs(w.astype(np.float64)), floats.held(self.output).all(axis=(0, 1))
        paths, value = weight @ sizes, self.values[h]
        last = np.where(sizes > 0, (1.0 + ~held + self.joined)[:, None], 0.0).max(axis=0, initial=0.0)
        grown = floats.grown(floats.weighing(self.positions) + last + count)
        size = size_of(value.ball)
        lost = value.lost @ paths * (1.0 + grown) + size @ paths * grown
        most = size.max(axis=0, initial=0.0)
        # exp, the division and the product of every position; then the product with W_O
        under = 8.0 * self.positions * ((most + 1.0) * (most > 0)) @ paths
        under = under + most @ floats.spec.is_tiny(w) @ sizes + (w != 0).sum(axis=0) @ sizes
        return up((lost + floats.spec.least * under * (1.0 + grown)) * SAFE)

    def taken(self, own: Ball, read: Read) -> np.ndarray:
        """(rows, c) what a margin loses besides: of the stream of the position that asks, of biases, by underflow."""
        floats = self.floats
        grown = floats.grown(read.count)
        floats.require((self.reach @ read.sizes + read.constant) * (1.0 + grown))
        lost = read.constant + floats.spec.least * (self.reach @ read.tiny) * (1.0 + grown)
        if self.residual:
            lost = lost + size_of(own) @ read.sizes * floats.grown(read.count + float(self.joined.max()))
        return up((lost + np.zeros((len(own.mid), 1))) * SAFE)
