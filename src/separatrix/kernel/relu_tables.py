"""What the heads of a `Net` see from one query token, in the cells of one group, as tables of balls.

A slot is a position of the input, or the model's blank. Columns are the symbols of the group, then the query's own
token, which only its own slot holds, then the blank's, which adds exactly nothing to the blank's slot.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from separatrix.core.domain import CellGroup, Sequence
from separatrix.core.errors import InputError, RejectedError, UnknownError
from separatrix.kernel.balls import Ball, exp
from separatrix.kernel.least import Words
from separatrix.kernel.norm import normalised
from separatrix.kernel.relu_loss import Loss
from separatrix.kernel.relu_net import Net, join

FAR = 600.0  # largest exponent
MOST = 2**26  # numbers in a table of a group


@dataclass(frozen=True, slots=True)
class Scene:
    """J slots, S columns, C cells, M features.

    low, high (H, J, S): intervals of e^(score - shift), one shift a head, low >= 0. values: balls (H, 1, S, M) and
    (H, J, 1, M), or one of (H, J, S, M), whose sum is what a slot and column have at weight 1. own (M,): features of
    the residual. words: what the cells hold. labels (C,). loss: what floating point may take, None for exact numbers.
    """

    net: Net
    low: np.ndarray
    high: np.ndarray
    values: tuple[Ball, ...]
    own: Ball
    words: Words
    labels: np.ndarray
    loss: Loss | None = None

    @classmethod
    def of(cls, net: Net, group: CellGroup, domain: Sequence) -> Scene:
        """The view of a group; RejectedError for a malformed one, UnknownError for one that is too large."""
        if not isinstance(group.token, int) or group.labels is None:
            raise RejectedError("a cell of this task has no single symbol at its query, or no label")
        if len(group.labels) and not 0 <= group.labels.min() <= group.labels.max() < net.answers:
            raise RejectedError("a cell's answer is none of the outputs")
        words = words_of(group, domain, len(net.token.mid), len(net.slot.mid))
        size = words.allowed.size * net.heads * net.mix.mid.shape[2]
        if (size if net.pre is not None else size // len(words.allowed)) > MOST or words.allowed.size > MOST // 64:
            raise UnknownError(f"{len(words.allowed)} slots of {len(words.ids)} symbols are too many for this check")
        symbols = join([net.token[words.ids[:-1]], Ball.exact(np.zeros((1, net.width)))], 0)
        x = net.token[[group.token]] + net.slot[[group.query]]
        parts, asks = (symbols[None], net.slot[:, None]), x  # rows of the stream, as sums
        if net.pre is not None:
            rows = symbols[None] + net.slot[:, None]
            flat = Ball(rows.mid.reshape(-1, net.width), rows.rad.reshape(-1, net.width))
            flat = normalised(flat, *net.pre)
            parts = (Ball(flat.mid.reshape(rows.mid.shape), flat.rad.reshape(rows.mid.shape)),)
            asks = normalised(x, *net.pre)
        g = ((asks @ net.query) * Ball.exact(np.float64(net.scale))) @ turned(net.key)  # (H, 1, d)
        score = _sum([part[None] @ turned(g)[:, None] for part in parts])
        score = score[..., 0]  # (H, J, S)
        allowed = words.only_any()
        shift = np.where(allowed, score.mid, np.inf).min(axis=2).max(axis=1)  # makes every D_h at least about 1
        shift = np.maximum(shift, np.where(allowed, score.mid, -np.inf).max(axis=(1, 2)) - FAR)
        e = exp(score - Ball.exact(np.broadcast_to(shift[:, None, None], score.mid.shape)))
        low, values = np.maximum(e.low, 0.0), tuple(part[None] @ net.mix[:, None] for part in parts)
        return cls(
            net=net,
            low=low,
            high=e.high,
            values=values,
            own=(x @ net.direct)[0] if net.direct is not None else Ball.exact(np.zeros(net.mix.mid.shape[2])),
            words=words,
            labels=group.labels,
            loss=None if net.budget is None else Loss.of(net.budget, group, words, score, (low, e.high), values),
        )

    def functional(self, weights: np.ndarray) -> Ball:
        """(L, H, J, S) the functionals sum_m weights[l, m] value_m, for floats (L, M)."""
        turn = Ball.exact(np.ascontiguousarray(weights.T))
        parts = []
        for values in self.values:
            flat = Ball(*(a.reshape(-1, a.shape[-1]) for a in (values.mid, values.rad))) @ turn
            shape = (*values.mid.shape[:3], len(weights))
            parts.append(Ball(*(np.moveaxis(a.reshape(shape), 3, 0) for a in (flat.mid, flat.rad))))
        return _sum(parts)

    def feature(self, which: np.ndarray) -> Ball:
        """(m, H, J, S) the features of these numbers."""
        return _sum([Ball(*(np.moveaxis(a[..., which], 3, 0) for a in (v.mid, v.rad))) for v in self.values])

    def denominators(self) -> tuple[np.ndarray, np.ndarray]:
        """(C, H) floats below and above every D_h on each cell."""
        cells = np.arange(len(self.labels))
        low = np.stack([self._whole(self.low[h], cells) for h in range(self.net.heads)], axis=1)
        high = -np.stack([self._whole(-self.high[h], cells) for h in range(self.net.heads)], axis=1)
        return low, high

    def _whole(self, terms: np.ndarray, cells: np.ndarray) -> np.ndarray:
        return self.words.low(np.broadcast_to(terms, (len(cells), *terms.shape)), cells)


def words_of(group: CellGroup, domain: Sequence, vocabulary: int, slots: int) -> Words:
    """The words of a group's cells in columns; RejectedError for a group that is not well formed."""
    where = domain.alphabets if group.background is None else group.background
    if len(where) != domain.positions:
        raise RejectedError("a cell of this task has another number of positions than the task")
    alphabets = {id(a): np.asarray(a) for j, a in enumerate(where) if j != group.query}
    used = np.unique(np.concatenate([group.symbols.reshape(-1), *alphabets.values()])).astype(np.int64)
    token, forced = group.token, group.positions
    assert isinstance(token, int)
    if not all(len(a) for a in alphabets.values()):
        raise RejectedError("a cell of this task allows no symbol at some position")
    if (len(used) and not 0 <= used[0] <= used[-1] < vocabulary) or not 0 <= token < vocabulary:
        raise RejectedError("a cell allows a symbol that the model does not know")
    if not 0 <= group.query < domain.positions or (forced == group.query).any():
        raise RejectedError("a cell of this task forces its own query, or has none")
    if forced.size and not 0 <= forced.min() <= forced.max() < domain.positions:
        raise RejectedError("a cell of this task forces a position that there is not")
    if forced.shape[1] > 1 and (np.diff(np.sort(forced, axis=1), axis=1) == 0).any():
        raise RejectedError("a cell of this task forces a position twice")
    if slots * (len(used) + 2) > MOST:
        raise UnknownError(f"{slots} slots of {len(used)} symbols are too many for this check")
    try:
        tied = group.constraint.places(domain.positions)
    except InputError as error:
        raise RejectedError(f"a cell of this task is malformed: {error}") from error
    allowed = np.zeros((slots, len(used) + 2), dtype=bool)
    by_alphabet = {key: np.isin(used, a) for key, a in alphabets.items()}
    for j, a in enumerate(where):
        if j == group.query:
            allowed[j, -2] = True
        else:
            allowed[j, :-2] = by_alphabet[id(a)]
    allowed[len(where) :, -1] = True
    columns = np.searchsorted(used, group.symbols)
    return Words(group.constraint, np.concatenate([used, [token, -1]]), allowed, forced, columns, tied)


def turned(ball: Ball) -> Ball:
    """The last two axes exchanged."""
    return Ball(np.swapaxes(ball.mid, -1, -2), np.swapaxes(ball.rad, -1, -2))


def _sum(parts: list[Ball]) -> Ball:
    total = parts[0]
    for part in parts[1:]:
        total = total + part
    return total
