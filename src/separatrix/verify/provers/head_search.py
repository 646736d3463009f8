"""The search behind the heads prover, in plain float64: failing inputs, and multipliers for `kernel.vertices`.

Over pairs (cell, rival) at once: exact minima of single heads (Dinkelbach), a local descent for failing inputs, and
the corners of the box of all 1/D_h. Nothing here is trusted.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from separatrix.verify.provers.head_tables import Board
from separatrix.verify.provers.head_words import Words

ROUNDS = 12  # of the descent
STEPS = 100  # of Dinkelbach: few are taken unless a score range is enormous
CHUNK = 2**21  # numbers in the largest array
CLEAR = 1e-10  # in units of the scale: smaller sums are neither proved nor refuted


@dataclass(frozen=True, slots=True)
class Pairs:
    """P pairs (cell, rival). e (P, H, J, W) exponentials, m = e u, constant (P,); low, high (P, H) ranges of D.

    Logits are in units of `scale` (P,), the largest margin of a term: u and the constant are at most about 1. In a
    floating-point format u and the constant are what is left of them after rounding.
    """

    e: np.ndarray
    m: np.ndarray
    constant: np.ndarray
    low: np.ndarray
    high: np.ndarray
    cell: np.ndarray
    rival: np.ndarray
    scale: np.ndarray
    words: Words | None = None

    @classmethod
    def of(cls, board: Board, wanted: np.ndarray | None = None) -> Pairs:
        """Every pair of a group, cells first; those with `wanted` only."""
        answers, labels = len(board.constant), board.labels
        cell, rival = np.divmod(np.arange(len(labels) * answers), answers)
        keep = rival != labels[cell]
        cell, rival = cell[keep], rival[keep]
        if wanted is not None:
            cell, rival = cell[wanted], rival[wanted]
        label, at = labels[cell], board.at[cell]  # (P, J, W)

        def spread(of_symbol: np.ndarray, of_slot: np.ndarray) -> np.ndarray:  # (P, H, S), (P, H, J)
            flat = np.broadcast_to(at.reshape(len(at), 1, -1), (len(at), of_symbol.shape[1], at[0].size))
            return np.take_along_axis(of_symbol, flat, axis=2).reshape(*of_slot.shape, -1) + of_slot[..., None]

        symbol, slot = np.moveaxis(board.symbol, 2, 0), np.moveaxis(board.slot, 2, 0)
        u = spread(symbol[label] - symbol[rival], slot[label] - slot[rival])
        slots = np.arange(at.shape[1])[:, None]
        cells, of_cell = np.unique(cell, return_inverse=True)
        e, constant = board.own(cells)[of_cell], board.constant[label] - board.constant[rival]
        if board.loss is not None:
            grown, symbol, slot, once, underflow = board.loss
            symbol, slot = np.moveaxis(symbol, 2, 0), np.moveaxis(slot, 2, 0)
            size = spread(symbol[label] + symbol[rival], slot[label] + slot[rival])
            u = u - grown[:, slots, at].transpose(1, 0, 2, 3) * size
            constant = constant - once[label] - once[rival] - underflow
        low, high = board.spans(cells)
        scale = np.abs(u).max(axis=(1, 2, 3), initial=1e-300) + np.abs(constant)
        u, constant = u / scale[:, None, None, None], constant / scale
        return cls(e, e * u, constant, low[of_cell], high[of_cell], cell, rival, scale, board.words)

    def __len__(self) -> int:
        return len(self.cell)

    def __getitem__(self, index: np.ndarray | slice) -> Pairs:
        parts = (self.e, self.m, self.constant, self.low, self.high, self.cell, self.rival, self.scale)
        return Pairs(*[part[index] for part in parts], self.words)  # pyright: ignore[reportCallIssue]

    def least(self, cost: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """(P, n) least sums of costs (P, n, J, W) over the words of each pair's cell, and their columns (P, n, J)."""
        if self.words is None:
            return cost.min(axis=3).sum(axis=2), cost.argmin(axis=3)
        value, choice = np.empty(cost.shape[:2]), np.empty(cost.shape[:3], dtype=np.int64)
        for pair, cell in enumerate(self.cell.tolist()):
            value[pair], choice[pair] = self.words.least(cell, cost[pair])
        return value, choice

    def negative(self) -> Pairs:
        """The same pairs with all margins negated."""
        return replace(self, m=-self.m, constant=-self.constant)

    def sums(self, choice: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """N and D, both (P, n, H), of n inputs a pair given by their columns (P, n, J)."""
        index = choice[:, :, None, :, None]
        return tuple(np.take_along_axis(part[:, None], index, axis=4)[..., 0].sum(axis=3) for part in (self.m, self.e))  # pyright: ignore[reportReturnType]

    def values(self, choice: np.ndarray) -> np.ndarray:
        """(P, n) the margins of these inputs, in units of the scale."""
        n, d = self.sums(choice)
        return (n / d).sum(axis=2) + self.constant[:, None]


def single_minima(pairs: Pairs) -> tuple[np.ndarray, np.ndarray]:
    """(P, H) least N_h/D_h of each head, and the inputs (P, H, J) that attain it.

    Newton's steps on the least of N - tau D, at a tau lowered by a hair: at tau itself, terms with e of 1e20 and u
    close to tau are nothing but rounding.
    """
    hair = 1e-11
    ratio, tau = np.full(pairs.low.shape, np.inf), pairs.m.sum(axis=(2, 3)) / pairs.e.sum(axis=(2, 3))
    inputs = np.zeros(pairs.e.shape[:3], dtype=np.int64)
    for _ in range(STEPS):
        choice = pairs.least(pairs.m - tau[:, :, None, None] * pairs.e)[1][..., None]
        n, d = (np.take_along_axis(part, choice, axis=3)[..., 0].sum(axis=2) for part in (pairs.m, pairs.e))
        better = n / d < ratio - hair / 10
        if not better.any():
            break
        ratio = np.where(better, n / d, ratio)
        inputs = np.where(better[..., None], choice[..., 0], inputs)
        tau = ratio - hair
    return ratio, inputs


def descend(pairs: Pairs, start: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The least margin (P,) found from the inputs `start` (P, n, J), and its input (P, J).

    Each round replaces sum_h N_h/D_h by its linearisation sum_h (N_h - r_h D_h)/D_h, which is separable.
    """
    best, where = np.full(len(pairs), np.inf), start[:, 0].copy()
    choice = start
    for _ in range(ROUNDS):
        n, d = pairs.sums(choice)
        value = (n / d).sum(axis=2) + pairs.constant[:, None]
        at = value.argmin(axis=1)
        least = value[np.arange(len(pairs)), at]
        better = least < best - 1e-13
        if not better.any():
            break
        best[better], where[better] = least[better], choice[better, at[better]]
        weight = 1.0 / d
        step = np.einsum("pnh,phjw->pnjw", weight, pairs.m, optimize=True)
        step -= np.einsum("pnh,phjw->pnjw", weight * n / d, pairs.e, optimize=True)
        choice = pairs.least(step)[1]
    return best, where


def ends(heads: int) -> np.ndarray:
    """(2^H, H) which end of its range each w_h takes at each corner: 0 the lower, 1 the upper."""
    return np.arange(2**heads)[:, None] >> np.arange(heads) & 1


def corner_minima(
    pairs: Pairs, tau: np.ndarray, w: np.ndarray, shift: np.ndarray | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """Least sum_h w_h (N_h - tau_h D_h) + shift_h D_h at each corner, and its inputs: (P, 2^H), (P, 2^H, J).

    tau (P, H); w and shift (P, 2, H): the value at either end.
    """
    corners, (p, _, j, width) = 2 ** tau.shape[1], pairs.e.shape
    least, choice = np.empty((p, corners)), np.empty((p, corners, j), dtype=np.int64)
    step = max(1, CHUNK // (corners * j * width))
    for part in (slice(i, i + step) for i in range(0, p, step)):
        total = corner_terms(pairs[part], tau[part], w[part], None if shift is None else shift[part])
        least[part], choice[part] = pairs[part].least(total)
    return least, choice


def corner_terms(pairs: Pairs, tau: np.ndarray, w: np.ndarray, shift: np.ndarray | None = None) -> np.ndarray:
    """(P, 2^H, J, W) the terms of these sums."""
    corner, heads = ends(tau.shape[1]), tau.shape[1]
    pick = np.concatenate([corner == 0, corner == 1], axis=1).astype(np.float64)
    term = pairs.m - tau[:, :, None, None] * pairs.e
    both = w[:, :, :, None, None] * term[:, None]
    if shift is not None:
        both = both + shift[:, :, :, None, None] * pairs.e[:, None]
    return (pick @ both.reshape(len(both), 2 * heads, -1)).reshape(len(both), len(pick), *term.shape[2:])
