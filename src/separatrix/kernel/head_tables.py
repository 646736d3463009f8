"""Several softmax heads as tables: for every slot and symbol, intervals of exponentials and balls of logits.

A slot is a position of the input, or the model's blank. The score and the logits of (slot, symbol) are those of the
slot plus those of the symbol; the query's own token is a symbol that its position must hold, and the blank holds a
symbol that adds exactly nothing. So a cell is, for every slot, a list of columns. Everything comes from the weights.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from separatrix.core.arch import Arch, Attention, Table
from separatrix.core.domain import CellGroup, Sequence
from separatrix.core.errors import RejectedError, UnknownError
from separatrix.kernel.balls import Ball, exp

MOST_HEADS = 10
FAR = 600.0  # largest exponent
MOST = 2**26  # numbers in a table of all cells of a group


@dataclass(frozen=True, slots=True)
class Heads:
    """The weights of one layer of H heads.

    token (V, d), slot (J, d): embeddings; the blank, if any, is the last slot. query, key (H, d, m). logits (H, d, k):
    W_V W_O W_R of each head. skip (d, k): W_R where the layer has a residual, else None. bias (k,).
    token_logits (H, V, k), slot_logits (H, J, k): what a head adds to the logits at weight 1.
    """

    token: Ball
    slot: Ball
    query: Ball
    key: Ball
    skip: Ball | None
    bias: Ball
    scale: float
    positions: int
    token_logits: Ball
    slot_logits: Ball

    @classmethod
    def of(cls, arch: Arch, tensors: Mapping[str, np.ndarray], positions: int) -> Heads:
        """Reads a model of one unmasked attention layer; UnknownError for any other."""
        layer = arch.layers[0]
        if len(arch.layers) != 1 or not isinstance(layer, Attention) or layer.heads > MOST_HEADS:
            raise UnknownError(f"the heads check decides models of one attention layer with at most {MOST_HEADS} heads")
        if not isinstance(arch.first, Table) or arch.readout.decision != "argmax":
            raise UnknownError("the heads check needs a token table and an argmax read-out")
        if arch.first.positions not in (0, positions):
            raise UnknownError(f"the model has {arch.first.positions} positions, the task {positions}")
        if layer.norm != "none":
            raise UnknownError("the heads check decides models without layer norm")
        if layer.mask != "none":
            raise UnknownError("the heads check handles unmasked attention only")
        query, key, value, output = (
            Ball.exact(tensors[f"layers.0.{name}"]) for name in ("query", "key", "value", "output")
        )
        readout, token = Ball.exact(tensors["readout.weight"]), Ball.exact(tensors["embed.token"])
        slot = Ball.exact(tensors["embed.position"] if arch.first.positions else np.zeros((positions, arch.width)))
        if arch.blank:
            slot = _join(slot, Ball.exact(tensors["embed.blank"][None]), 0)
        logits = value @ (output @ readout)
        return cls(
            token=token,
            slot=slot,
            query=query,
            key=key,
            skip=readout if layer.residual else None,
            bias=Ball.exact(tensors["readout.bias"]),
            scale=layer.scale,
            positions=positions,
            token_logits=token @ logits,
            slot_logits=slot @ logits,
        )

    @property
    def count(self) -> int:
        """H."""
        return len(self.query.mid)


@dataclass(frozen=True, slots=True)
class View:
    """What the heads see from one query token, in the cells of one group.

    at (C, J, W): the columns that cell c allows in slot j, the first repeated where there are fewer than W.
    symbols (S,): the token ids of the columns; the last column is the blank's, id -1.
    low, high (H, J, S): intervals of e^(score - shift), one shift a head, low >= 0.
    symbol_logits (H, S, k), slot_logits (H, J, k). constant (k,): bias and residual. labels (C,).
    """

    at: np.ndarray
    symbols: np.ndarray
    low: np.ndarray
    high: np.ndarray
    symbol_logits: Ball
    slot_logits: Ball
    constant: Ball
    labels: np.ndarray

    @classmethod
    def of(cls, heads: Heads, group: CellGroup, domain: Sequence) -> View:
        """The view of a group of product cells; RejectedError or UnknownError for anything else."""
        if not isinstance(group.token, int) or group.labels is None:
            raise RejectedError("a cell of this task has no single symbol at its query, or no label")
        if group.constraint.kind != "product":
            raise UnknownError("the heads check needs product cells")
        if len(group.labels) and not 0 <= group.labels.min() <= group.labels.max() < len(heads.bias.mid):
            raise RejectedError("a cell's answer is none of the outputs")
        where = domain.alphabets if group.background is None else group.background
        if len(where) != heads.positions:
            raise RejectedError("a cell of this task has another number of positions than the task")
        symbols, at = _columns(group, where, len(heads.token.mid), len(heads.slot.mid))
        token = heads.token[symbols]
        x = token[[-1]] + heads.slot[[group.query]]  # the last symbol is the query's own
        g = ((x @ heads.query) * Ball.exact(np.float64(heads.scale))) @ _turn(heads.key)  # (H, 1, d)
        slot_score = heads.slot @ _turn(g)  # (H, J, 1)
        token_score = _turn(_join(token @ _turn(g), Ball.exact(np.zeros((heads.count, 1, 1))), 1))  # (H, 1, S)
        score = slot_score + token_score
        allowed = score.mid[:, np.arange(at.shape[1])[:, None], at]  # (H, C, J, W)
        shift = allowed.min(axis=3).max(axis=2).min(axis=1)  # makes every D_h at least about 1
        shift = np.maximum(shift, allowed.max(axis=(1, 2, 3)) - FAR)
        e = exp(score - Ball.exact(np.broadcast_to(shift[:, None, None], score.mid.shape)))
        values, constant = heads.token_logits[:, symbols], heads.bias
        if heads.skip is not None:
            constant = constant + (x @ heads.skip)[0]
        return cls(
            at=at,
            symbols=np.append(symbols, -1),
            low=np.maximum(e.low, 0.0),
            high=e.high,
            symbol_logits=_join(values, Ball.exact(np.zeros((heads.count, 1, values.mid.shape[2]))), 1),
            slot_logits=heads.slot_logits,
            constant=constant,
            labels=group.labels,
        )

    def exponentials(self, cells: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """(cells, H, J, W) intervals, of the columns that each of these cells allows."""
        slots = np.arange(self.at.shape[1])[:, None]
        return tuple(e[:, slots, self.at[cells]].transpose(1, 0, 2, 3) for e in (self.low, self.high))  # pyright: ignore


def _columns(group: CellGroup, where: tuple, vocabulary: int, slots: int) -> tuple[np.ndarray, np.ndarray]:
    """Token ids of the columns (the query's last), and the columns that each cell allows in each slot."""
    alphabets = {id(a): np.asarray(a) for j, a in enumerate(where) if j != group.query}
    used = np.unique(np.concatenate([group.symbols.reshape(-1), *alphabets.values()])).astype(np.int64)
    if not all(len(a) for a in alphabets.values()):
        raise RejectedError("a cell of this task allows no symbol at some position")
    if (len(used) and not 0 <= used[0] <= used[-1] < vocabulary) or not 0 <= group.token < vocabulary:  # pyright: ignore
        raise RejectedError("a cell allows a symbol that the model does not know")
    width = max((len(a) for a in alphabets.values()), default=1)
    rows = {}
    for name, alphabet in alphabets.items():
        columns = np.searchsorted(used, alphabet)
        rows[name] = np.append(columns, np.full(width - len(columns), columns[0]))
    own = np.full(width, len(used))
    if len(group) * slots * width > MOST // MOST_HEADS:
        raise UnknownError(f"a group of {len(group)} cells of {slots} positions is too large for the heads check")
    base = [own if j == group.query else rows[id(a)] for j, a in enumerate(where)]
    base += [own + 1] * (slots - len(where))
    forced = group.positions
    if (forced == group.query).any() or (forced.size and not 0 <= forced.min() <= forced.max() < len(where)):
        raise RejectedError("a cell of this task forces its own query, or a position that there is not")
    at = np.repeat(np.array(base)[None], len(group), axis=0)
    at[np.arange(len(group))[:, None], forced] = np.searchsorted(used, group.symbols)[:, :, None]
    return np.append(used, group.token), at


def _turn(ball: Ball) -> Ball:
    return Ball(np.swapaxes(ball.mid, -1, -2), np.swapaxes(ball.rad, -1, -2))


def _join(a: Ball, b: Ball, axis: int) -> Ball:
    return Ball(np.concatenate([a.mid, b.mid], axis=axis), np.concatenate([a.rad, b.rad], axis=axis))
