"""One attention layer as tables: scores and logit contributions of every (position, symbol), as balls.

For a one-layer model on tokens x_j = E[symbol] + P[position] the score is t(symbol) + p(position), and so is what a
position adds to the logits. Everything below is rebuilt from the weights; nothing is taken from the certificate.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from separatrix.core.arch import Arch, Attention, Table
from separatrix.core.errors import UnknownError
from separatrix.kernel.balls import Ball, gamma, up

FEW = 2**22  # numbers that are kept of all positions together
NARROW = 64  # up to this many columns the error of a score is summed by columns, beyond it by norms


@dataclass(frozen=True, slots=True)
class Layer:
    """The weights of one softmax head with its value and read-out maps composed.

    token (V, d), position (T, d), blank (1, d) or None: the embedding. logits (d, k): W_V W_O W_R. skip (d, k): W_R
    where the layer has a residual, else None. bias (k,). The factors query, key, value, output, readout are exact.
    """

    token: Ball
    position: Ball
    blank: Ball | None
    query: Ball
    key: Ball
    value: Ball
    output: Ball
    readout: Ball
    logits: Ball
    skip: Ball | None
    bias: Ball
    scale: float
    active: np.ndarray  # columns of the stream that the logits read at all
    reading: Ball  # logits[active]
    memo: dict[bytes, tuple[np.ndarray, np.ndarray]] = field(default_factory=dict)  # see `scores`

    @classmethod
    def of(cls, arch: Arch, tensors: Mapping[str, np.ndarray], positions: int) -> Layer:
        """Reads a one-layer, one-head model; UnknownError for any other architecture."""
        layer = arch.layers[0]
        if len(arch.layers) != 1 or not isinstance(layer, Attention) or layer.heads != 1:
            raise UnknownError("the separable check decides models of one attention layer with one head")
        if not isinstance(arch.first, Table) or arch.readout.decision != "argmax":
            raise UnknownError("the separable check needs a token table and an argmax read-out")
        if arch.first.positions not in (0, positions):
            raise UnknownError(f"the model has {arch.first.positions} positions, the task {positions}")
        if layer.norm != "none":
            raise UnknownError("the separable check decides models without layer norm")
        if layer.mask == "causal":
            raise UnknownError("the separable check does not handle a causal mask yet")
        names = ("query", "key", "value", "output")
        query, key, value, output = (Ball.exact(tensors[f"layers.0.{name}"][0]) for name in names)
        readout = Ball.exact(tensors["readout.weight"])
        token = Ball.exact(tensors["embed.token"])
        width = token.mid.shape[1]
        position = Ball.exact(tensors["embed.position"] if arch.first.positions else np.zeros((positions, width)))
        logits = value @ (output @ readout)
        active = np.flatnonzero(((logits.mid != 0) | (logits.rad != 0)).any(axis=1))
        return cls(
            token=token,
            position=position,
            blank=Ball.exact(tensors["embed.blank"][None]) if arch.blank else None,
            query=query,
            key=key,
            value=value,
            output=output,
            readout=readout,
            logits=logits,
            skip=readout if layer.residual else None,
            bias=Ball.exact(tensors["readout.bias"]),
            scale=layer.scale,
            active=active,
            reading=logits[active],
        )

    def queries(self, tokens: Sequence[int], position: int) -> tuple[Ball, Ball]:
        """Embeddings (g, d) of these tokens at the query's position, and g(x) (g, d) with score(x, y) = <g(x), y>."""
        rows = list(tokens)
        x = self.token[rows] + self.position[[position] * len(rows)]
        given = self.token.rad[rows] + self.position.rad[position]  # 0, but for integers that are no floats
        x = Ball(x.mid, np.where(_sum_is_exact(self.token.mid[rows], self.position.mid[position]), given, x.rad))
        return x, ((x @ self.query) * Ball.exact(np.float64(self.scale))) @ Ball(self.key.mid.T, self.key.rad.T)

    def read(self, rows: Ball) -> Ball:
        """What rows of the stream add to the logits; columns that add exactly nothing are left out of the sum."""
        return rows[:, self.active] @ self.reading


def _sum_is_exact(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Where a + b needs no rounding because one of the two is zero."""
    return (a == 0) | (b == 0)


@dataclass(frozen=True, slots=True)
class Tables:
    """What positions and symbols add to the logits, for the symbols `used` anywhere but at the query.

    symbol_logits (S, k), position_logits (T, k): balls. position_free: no position adds anything, exactly.
    """

    used: np.ndarray
    symbol_logits: Ball
    position_logits: Ball
    position_free: bool
    memo: dict[object, Any] = field(default_factory=dict)  # the last least margins: most rows share them
    margin_memo: dict[object, Ball] = field(default_factory=dict)
    low_memo: dict[object, np.ndarray] = field(default_factory=dict)
    there_memo: dict[object, np.ndarray] = field(default_factory=dict)
    shrunk_memo: dict[object, Ball] = field(default_factory=dict)
    loss_memo: dict[object, tuple[np.ndarray, np.ndarray]] = field(default_factory=dict)  # see `Loss`

    @classmethod
    def of(cls, layer: Layer, used: np.ndarray) -> Tables:
        """Tables for the sorted symbol ids `used`."""
        position = layer.read(layer.position)
        return cls(used, layer.read(layer.token[used]), position, bool(position.is_zero().all()))

    def margins(self, key: object, labels: np.ndarray, const: Ball) -> Ball:
        """(A, k, S) what a symbol at unit weight adds to logit[label] - logit[rival], constants included."""
        if key not in self.margin_memo:
            self.margin_memo.clear()
            self.margin_memo[key] = (self.symbol_logits + const).pairs(labels)
        return self.margin_memo[key]

    def lows(self, key: object, margin: Ball, symbols: np.ndarray) -> np.ndarray:
        """(symbols, A, k) floats below the margins of these symbols; `key` names both."""
        if key not in self.low_memo:
            self.low_memo.clear()
            self.low_memo[key] = np.ascontiguousarray(margin.low[:, :, symbols].transpose(2, 0, 1))
        return self.low_memo[key]

    def lows_there(
        self, key: object, margin: Ball, labels: np.ndarray, symbols: np.ndarray, positions: np.ndarray
    ) -> np.ndarray:
        """(symbols, A, k, positions) floats below the margins with what a position adds; all are kept where few."""
        few = margin.mid[..., 0].size * len(symbols) * len(self.position_logits.mid) <= FEW
        if few and key in self.there_memo:
            return self.there_memo[key][..., positions]
        here = margin[:, :, symbols]
        here = Ball(here.mid.transpose(2, 0, 1)[..., None], here.rad.transpose(2, 0, 1)[..., None])
        low = (here + self.position_logits[slice(None) if few else positions].pairs(labels)).low
        if not few:
            return low
        self.there_memo.clear()
        self.there_memo[key] = low
        return low[..., positions]

    def shrunk(self, key: object, margin: Ball, loss: np.ndarray) -> Ball:
        """The margins less what floating point may take; `key` names both."""
        if key not in self.shrunk_memo:
            self.shrunk_memo.clear()
            self.shrunk_memo[key] = margin - Ball.exact(loss)
        return self.shrunk_memo[key]


def scores(table: Ball, functionals: Ball, memo: dict[bytes, tuple[np.ndarray, np.ndarray]] | None = None) -> Ball:
    """(rows, g) scores <functionals[g], table[row]> of exact rows; error by columns, or by Cauchy-Schwarz when wide.

    `memo` keeps the active columns of one table, and the sizes of its rows, between calls.
    """
    active = np.flatnonzero(((functionals.mid != 0) | (functionals.rad != 0)).any(axis=0))
    if not len(active):
        return Ball(*(np.zeros((len(table.mid), len(functionals.mid))) for _ in range(2)))
    g, key, narrow = functionals[:, active], active.tobytes(), len(active) <= NARROW
    if memo is None or key not in memo:
        rows = table.mid if len(active) == table.mid.shape[1] else table.mid[:, active]
        sizes = np.abs(rows) if narrow else up(np.sqrt(up((rows**2).sum(axis=1), len(active))))
        if memo is not None:
            memo.clear()
            memo[key] = rows, sizes
    else:
        rows, sizes = memo[key]
    mid = g.mid @ rows.T  # one functional after the other in memory: they are used one at a time
    spread = np.nextafter(np.abs(g.mid) * gamma(len(active)) + g.rad, np.inf)  # rows may magnify an underflow
    if narrow:
        return Ball(mid.T, up(spread @ sizes.T, len(active)).T)
    widths = up(np.sqrt(up((spread**2).sum(axis=1), len(active))))
    return Ball(mid.T, np.broadcast_to(up(widths * sizes.max(initial=0.0)), mid.T.shape))
