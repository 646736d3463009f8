"""Blocks of a model: an attention layer and the feed-forward layers behind it, on boxes of streams."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from separatrix.core.arch import Arch, Attention, FeedForward, Table
from separatrix.core.domain import Ints
from separatrix.core.errors import UnknownError
from separatrix.kernel.balls import Ball, sum_high, sum_low, up
from separatrix.kernel.contracts.attend import Head, least
from separatrix.kernel.contracts.feed import Feed
from separatrix.kernel.contracts.losses import Read, Roundings
from separatrix.kernel.contracts.rounded import SAFE, Floats
from separatrix.kernel.contracts.rows import Rows
from separatrix.kernel.contracts.stream import Stream, between


@dataclass(frozen=True, slots=True)
class Weights:
    """A model's tensors as exact balls, restricted to the coordinates that later weights read; and the thresholds.

    In a float format every coordinate is kept, since what nobody reads may still overflow.
    """

    arch: Arch
    tensors: Mapping[str, np.ndarray]
    noise: float
    terms: int
    merge: bool = False
    floats: Floats | None = None

    def __getitem__(self, name: str) -> Ball:
        return Ball.exact(self.tensors[name])

    def embedded(self, symbol: Ints, place: Ints) -> Ball:
        """(rows, d) tokens at places, exact where one of the two adds nothing."""
        if self.floats is not None:
            box = self.floats.rest(self.tensors["embed.token"])[symbol]
            if "embed.position" in self.tensors:
                box = self.floats.add(box, self.floats.rest(self.tensors["embed.position"])[place])
            return box
        box = self["embed.token"][symbol]
        assert isinstance(self.arch.first, Table)
        if self.arch.first.positions:
            other = self["embed.position"][place]
            total = box + other
            box = Ball(total.mid, np.where((box.mid == 0) | (other.mid == 0), box.rad + other.rad, total.rad))
        return self._alive(box, 0)

    def blank(self) -> tuple[np.ndarray, np.ndarray]:
        """Centre and radius (1, d) of the model's own token."""
        box = self["embed.blank"] if self.floats is None else self.floats.rest(self.tensors["embed.blank"])
        box = self._alive(box[None], 0)
        return box.mid, box.rad

    def behind(self, i: int, box: Ball) -> Ball:
        """(rows, d) around the stream behind feed-forward layer i, for streams in each row of the box."""
        return self.feed(i).ranges(box, self.noise) if self.floats is None else self._rounded(self.floats, i, box)[0]

    def _rounded(self, floats: Floats, i: int, box: Ball) -> tuple[Ball, np.ndarray, np.ndarray]:
        """`behind`; (rows, hidden) by how much the units err, and (rows, d) what the sums behind them lose."""
        inner, before, out, bias = (self.tensors[f"layers.{i}.{name}"] for name in ("in", "in_bias", "out", "out_bias"))
        read = floats.multiply(box, inner, before)
        # |relu(p^) - relu(p)| is at most the error of p, and at most what p^ or p can be
        low, high = np.maximum(read.ball.low, 0.0), np.maximum(read.ball.high, 0.0)
        fixed, mid = read.ball.rad == 0, low / 2 + high / 2
        wide = np.nextafter(np.maximum(high - mid, mid - low), np.inf)
        units = Ball(np.where(fixed, np.maximum(read.ball.mid, 0.0), mid), np.where(fixed | (high == 0), 0.0, wide))
        off = np.minimum(read.lost, high)
        made = floats.multiply(units, out, bias, box if self.arch.layers[i].residual else None)
        found = self.feed(i).ranges(box, self.noise)
        found = Ball(found.mid, up(found.rad + (off @ np.abs(out) + made.lost) * SAFE))
        closer = made.ball.rad <= found.rad
        box = Ball(np.where(closer, made.ball.mid, found.mid), np.where(closer, made.ball.rad, found.rad))
        return box, off, made.lost

    def ahead(self, i: int, box: Ball, label: int, rivals: Ints) -> np.ndarray:
        """(rows, rivals) below logit[label] - logit[rival] behind feed-forward layer i, the last one."""
        readout, bias = self["readout.weight"], self["readout.bias"]
        functional = readout[:, [label] * len(rivals)] - readout[:, rivals]
        found = self.feed(i, functional).ranges(box, self.noise) + (bias[[label] * len(rivals)] - bias[rivals])
        if self.floats is None:
            return found.low
        box, off, lost = self._rounded(self.floats, i, box)
        through = self[f"layers.{i}.out"] @ functional
        logits = self.floats.multiply(box, self.tensors["readout.weight"], self.tensors["readout.bias"])
        taken = off @ (np.abs(through.mid) + through.rad) + lost @ (np.abs(functional.mid) + functional.rad)
        taken = up((taken + logits.lost[:, [label]] + logits.lost[:, rivals]) * SAFE)
        apart = logits.ball[:, [label]] - logits.ball[:, rivals]
        return np.fmax(np.nextafter(found.low - taken, -np.inf), apart.low)

    def feed(self, i: int, functional: Ball | None = None) -> Feed:
        """Layer i; with a functional (d, c), followed by it."""
        layer = self.arch.layers[i]
        assert isinstance(layer, FeedForward)
        inner, out, bias = self[f"layers.{i}.in"], self[f"layers.{i}.out"], self[f"layers.{i}.out_bias"]
        before = self[f"layers.{i}.in_bias"]
        if functional is None:
            alive = self.alive(i + 1)
            out, bias = (Ball(b.mid * alive, b.rad) for b in (out, bias))
            return Feed(inner, before, out, bias, kept=alive if layer.residual else None)
        out, bias = out @ functional, (bias[None] @ functional)[0]
        return Feed(inner, before, out, bias, skip=functional if layer.residual else None)

    def alive(self, i: int) -> np.ndarray:
        """(d,) whether layers i, i+1, .. or the read-out read the coordinate at all; in a float format, always."""
        if self.floats is not None:
            return np.ones(self.arch.width, dtype=bool)
        read = np.atleast_1d(self.tensors["readout.weight"].any(axis=1))
        for j in range(len(self.arch.layers) - 1, i - 1, -1):
            layer = self.arch.layers[j]
            if isinstance(layer, Attention):
                parts = [self.tensors[f"layers.{j}.{name}"].any(axis=(0, 2)) for name in ("query", "key", "value")]
                mine = parts[0] | parts[1] | parts[2]
            else:
                mine = self.tensors[f"layers.{j}.in"].any(axis=1)
            read = mine | read if layer.residual else mine
        return np.atleast_1d(read)

    def _alive(self, box: Ball, i: int) -> Ball:
        alive = self.alive(i)
        return Ball(np.where(alive, box.mid, 0.0), np.where(alive, box.rad, 0.0))


@dataclass(frozen=True, slots=True)
class Block:
    """The numbers of an attention layer and of the feed-forward layers behind it."""

    layer: int
    feeds: tuple[int, ...]

    def is_causal(self, arch: Arch) -> bool:
        """Whether no position sees those behind it."""
        layer = arch.layers[self.layer]
        return isinstance(layer, Attention) and layer.mask == "causal"

    def attention(self, weights: Weights, stream: Stream, rows: Rows) -> Ball:
        """(rows, d) around the stream behind the attention layer, in every cell."""
        arch = weights.arch
        layer, alive = arch.layers[self.layer], weights.alive(self.layer + 1)
        assert isinstance(layer, Attention)
        box = stream.box[rows.own]
        mid = np.where(alive, box.mid, 0.0) if layer.residual else np.zeros(box.mid.shape)
        rad = np.where(alive, box.rad, 0.0) if layer.residual else np.zeros(box.mid.shape)
        roundings = None if weights.floats is None else self._roundings(weights, weights.floats, stream)
        if roundings is not None:
            rad = roundings.carried(Ball(mid, rad))
        lows: dict[int, list[np.ndarray]] = {}
        highs: dict[int, list[np.ndarray]] = {}
        for h in range(layer.heads):
            through = weights[f"layers.{self.layer}.value"][h] @ weights[f"layers.{self.layer}.output"][h]
            columns = np.flatnonzero(~through.is_zero().all(axis=0) & alive)
            if not len(columns):
                continue
            loss = None if roundings is None else roundings.loss(h, np.eye(arch.width)[:, columns])
            low, high = self._head(weights, stream, rows, h, through[:, columns], loss)
            for c, column in enumerate(columns.tolist()):
                lows.setdefault(column, [Ball(mid, rad)[:, column].low]).append(low[:, c])
                highs.setdefault(column, [Ball(mid, rad)[:, column].high]).append(high[:, c])
        for column in lows:
            around = between(sum_low(np.stack(lows[column])), sum_high(np.stack(highs[column])))
            mid[:, column], rad[:, column] = around.mid, around.rad
        return Ball(mid, rad)

    def margins(self, weights: Weights, stream: Stream, rows: Rows, label: int) -> np.ndarray:
        """(rows, rivals) floats below logit[label] - logit[rival] behind this last block, in every cell."""
        readout, bias = weights["readout.weight"], weights["readout.bias"]
        rivals = np.delete(np.arange(weights.arch.readout.outputs), label)
        if not len(rivals):
            return np.full((len(rows), 0), np.inf)
        functional = readout[:, [label] * len(rivals)] - readout[:, rivals]
        ahead = bias[[label] * len(rivals)] - bias[rivals]
        if self.feeds:
            box = self.attention(weights, stream, rows)
            for i in self.feeds[:-1]:
                box = weights.behind(i, box)
            return weights.ahead(self.feeds[-1], box, label, rivals)
        layer = weights.arch.layers[self.layer]
        assert isinstance(layer, Attention)
        parts = [np.broadcast_to(ahead.low, (len(rows), len(rivals)))]
        if layer.residual:
            parts.append((stream.box[rows.own] @ functional).low)
        read = roundings = None
        if weights.floats is not None:
            roundings = self._roundings(weights, weights.floats, stream)
            read = Read.of(weights.floats, weights.tensors, label, rivals)
            parts.append(-roundings.taken(stream.box[rows.own], read))
        for h in range(layer.heads):
            through = weights[f"layers.{self.layer}.output"][h] @ functional
            through = weights[f"layers.{self.layer}.value"][h] @ through
            loss = None if roundings is None or read is None else roundings.loss(h, read.sizes, read.count)
            parts.append(self._head(weights, stream, rows, h, through, loss, both=False)[0])
        return sum_low(np.stack(parts))

    def _roundings(self, weights: Weights, floats: Floats, stream: Stream) -> Roundings:
        layer = weights.arch.layers[self.layer]
        assert isinstance(layer, Attention)
        names = ("query", "key", "value", "output")
        parts = [weights.tensors[f"layers.{self.layer}.{name}"] for name in names]
        return Roundings.of(floats, stream.box, parts, layer.scale, layer.residual, stream.positions)

    def _head(
        self,
        weights: Weights,
        stream: Stream,
        rows: Rows,
        h: int,
        through: Ball,
        loss: np.ndarray | None,
        both: bool = True,
    ) -> tuple[np.ndarray, np.ndarray]:
        """(rows, c) below and above what head h adds to c functionals `through` (d, c) of the stream.

        loss (classes, c): what rounding takes, each class by its share; None in real arithmetic.
        """
        layer, floats = weights.arch.layers[self.layer], weights.floats
        assert isinstance(layer, Attention)
        w_query, w_key = (weights.tensors[f"layers.{self.layer}.{name}"][h] for name in ("query", "key"))
        values = stream.box @ through
        if floats is not None:
            query, key = floats.multiply(stream.box, w_query).ball, floats.multiply(stream.box, w_key).ball
            values = Ball(values.mid, up(values.rad + loss))
        else:
            query, key = stream.box @ Ball.exact(w_query), stream.box @ Ball.exact(w_key)
            query = query if layer.scale == 1.0 else query * Ball.exact(np.float64(layer.scale))
        ends = np.concatenate([values.low, -values.high], axis=1) if both else values.low
        head = Head(query, key, ends, layer.mask == "causal", floats, layer.scale)
        found = least(head, rows, stream, weights.terms)
        if not both:
            return found, np.zeros(0)
        columns = through.mid.shape[1]
        return found[:, :columns], -found[:, columns:]


def blocks_of(arch: Arch) -> tuple[tuple[int, ...], list[Block]]:
    """(feed-forward layers before any attention, blocks); UnknownError for a layer that is not known here."""
    first: list[int] = []
    found: list[tuple[int, list[int]]] = []
    for i, layer in enumerate(arch.layers):
        if type(layer) is Attention and (layer.weights, layer.norm) == ("softmax", "none"):
            if layer.mask not in ("none", "causal"):
                raise UnknownError(f"the contract check does not know the mask {layer.mask!r}")
            found.append((i, []))
        elif type(layer) is FeedForward and (layer.activation, layer.norm) == ("relu", "none"):
            (found[-1][1] if found else first).append(i)
        else:
            raise UnknownError(f"the contract check handles softmax attention and ReLU layers without norms; layer {i}")
    return tuple(first), [Block(i, tuple(feeds)) for i, feeds in found]
