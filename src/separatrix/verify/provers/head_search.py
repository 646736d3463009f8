"""The search behind the heads prover, in plain float64: failing inputs, and multipliers for `kernel.vertices`.

Over pairs (cell, rival) at once: exact minima of single heads (Dinkelbach), a local descent for failing inputs, and
the corners of the box of all 1/D_h. Nothing here is trusted.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from separatrix.kernel.head_tables import View
from separatrix.kernel.heads import ranges

ROUNDS = 12  # of the descent
STEPS = 100  # of Dinkelbach: few are taken unless a score range is enormous
CHUNK = 2**21  # numbers in the largest array
CLEAR = 1e-10  # in units of the scale: smaller sums are neither proved nor refuted


@dataclass(frozen=True, slots=True)
class Pairs:
    """P pairs (cell, rival). e (P, H, J, W) exponentials, m = e u, constant (P,); low, high (P, H) ranges of D.

    Logits are in units of `scale` (P,), the largest margin of a term: u and the constant are at most about 1.
    """

    e: np.ndarray
    m: np.ndarray
    constant: np.ndarray
    low: np.ndarray
    high: np.ndarray
    cell: np.ndarray
    rival: np.ndarray
    scale: np.ndarray

    @classmethod
    def of(cls, view: View) -> Pairs:
        """Every pair of a group, cells first."""
        answers = view.constant.mid.shape[0]
        cell, rival = np.divmod(np.arange(len(view.labels) * answers), answers)
        keep = rival != view.labels[cell]
        cell, rival = cell[keep], rival[keep]
        label = view.labels[cell]
        at = view.at[cell][:, None]  # (P, 1, J, W)
        symbol = np.moveaxis(view.symbol_logits.mid, 2, 0)
        slot = np.moveaxis(view.slot_logits.mid, 2, 0)
        of_symbol, of_slot = symbol[label] - symbol[rival], slot[label] - slot[rival]
        shape = (len(cell), of_symbol.shape[1], at.shape[2] * at.shape[3])
        u = np.take_along_axis(of_symbol, np.broadcast_to(at.reshape(len(cell), 1, -1), shape), axis=2)
        u = u.reshape(*shape[:2], *at.shape[2:]) + of_slot[:, :, :, None]
        low, high = view.exponentials(np.arange(len(view.labels)))
        e = ((low + high) / 2)[cell]
        least, most = ranges(view)
        constant = view.constant.mid[label] - view.constant.mid[rival]
        scale = np.abs(u).max(axis=(1, 2, 3), initial=1e-300) + np.abs(constant)
        u, constant = u / scale[:, None, None, None], constant / scale
        return cls(e, e * u, constant, least[cell], most[cell], cell, rival, scale)

    def __len__(self) -> int:
        return len(self.cell)

    def __getitem__(self, index: np.ndarray) -> Pairs:
        parts = (self.e, self.m, self.constant, self.low, self.high, self.cell, self.rival, self.scale)
        return Pairs(*(part[index] for part in parts))

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
        choice = (pairs.m - tau[:, :, None, None] * pairs.e).argmin(axis=3)[..., None]
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
        choice = step.argmin(axis=3)
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
    heads = tau.shape[1]
    corner = ends(heads)
    pick = np.concatenate([corner == 0, corner == 1], axis=1).astype(np.float64)
    p, _, j, width = pairs.e.shape
    least, choice = np.empty((p, len(pick))), np.empty((p, len(pick), j), dtype=np.int64)
    step = max(1, CHUNK // (len(pick) * j * width))
    for part in (slice(i, i + step) for i in range(0, p, step)):
        term = pairs.m[part] - tau[part, :, None, None] * pairs.e[part]
        both = w[part, :, :, None, None] * term[:, None]
        if shift is not None:
            both = both + shift[part, :, :, None, None] * pairs.e[part][:, None]
        total = (pick @ both.reshape(len(both), 2 * heads, -1)).reshape(len(both), len(pick), j, width)
        choice[part] = total.argmin(axis=3)
        least[part] = total.min(axis=3).sum(axis=2)
    return least, choice
