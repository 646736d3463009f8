"""What floating point may take from the margins of several heads: the margin-table form of `rounding`, head by head.

The factors on a path from a value through head h to a logit have a product within e^{theta_hj}, theta_hj = log-error of
its weight + that of the normaliser + K L. So, with exact weights w_hj = e_hj / D_h, the margin as computed is at least
    sum_h sum_j w_hj (u_hj - (e^theta_hj - 1) a_hj) + const - (e^{K L} - 1) |const| - underflow,
a_hj the absolute path products of both logits: sums of ratios again, with other tables. All numbers here are upper
bounds, inflated as in `rounding`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from separatrix.core.arch import Arch, Attention
from separatrix.core.domain import CellGroup
from separatrix.core.semantics import FloatSpec
from separatrix.kernel.balls import Ball, exp, growth, sum_high, sum_low
from separatrix.kernel.layer import Layer
from separatrix.kernel.rounding import SAFE, Rounding


@dataclass(frozen=True, slots=True)
class Budget:
    """The rounding constants of every head."""

    heads: tuple[Rounding, ...]

    @classmethod
    def of(cls, arch: Arch, tensors: Mapping[str, np.ndarray], positions: int, spec: FloatSpec) -> Budget:
        """RejectedError where the format overflows, UnknownError for a layer of another kind."""
        layer = arch.layers[0]
        assert isinstance(layer, Attention)
        one, several = replace(arch, layers=(replace(layer, heads=1),)), []
        stacked = tensors["layers.0.output"].astype(np.float64)
        for h in range(layer.heads):
            part = {name: t[h : h + 1] if name.startswith("layers.0.") else t for name, t in tensors.items()}
            own = Layer.of(one, part, positions)
            several.append(Rounding.of(own, spec, stacked if layer.heads > 1 else None))
        return cls(tuple(several))


@dataclass(frozen=True, slots=True)
class Loss:
    """grown (H, J, S): e^theta - 1 of each slot and column. symbol (H, S, k), slot (H, J, k): absolute path products,
    which add up. constant (k,): absolute bias and residual; path: e^{K L} - 1; underflow: of a difference of logits.
    Apart: moved (H, J, S), e^(log-error of the weight) - 1; paths (H,), e^{K L} - 1; sums (H,), by how much the weights
    of a head, before their division is rounded, may add up to another number than 1.
    """

    grown: np.ndarray
    symbol: np.ndarray
    slot: np.ndarray
    constant: np.ndarray
    path: float
    underflow: float
    moved: np.ndarray
    paths: np.ndarray
    sums: np.ndarray

    @classmethod
    def of(cls, budget: Budget, group: CellGroup, used: np.ndarray, score: Ball, at: np.ndarray) -> Loss:
        """score (H, J, S): of the slots, and of the symbols `used`, the query's own (last of them) and the blank's."""
        layer, slots = budget.heads[0].layer, at.shape[1]
        used = used.astype(np.int64)
        own = np.abs(layer.token.mid[group.token]) + np.abs(layer.position.mid[group.query])
        places = np.abs(layer.position.mid)
        if layer.blank is not None:
            places = np.concatenate([places, np.abs(layer.blank.mid)])
        # symbol and position are rounded before they are added, so their sizes count, not that of their sum
        names = np.append(used, group.token)
        signs = np.concatenate([np.abs(layer.token.mid[names]), np.zeros((1, places.shape[1]))])
        grown, symbol, slot, moved = [], [], [], []
        rows = np.arange(slots)[:, None]
        for h, r in enumerate(budget.heads):
            absolute = own @ np.abs(r.layer.query.mid) @ np.abs(r.layer.key.mid).T
            absolute = absolute * (abs(r.layer.scale) * SAFE * r.score_error)
            error = ((places @ absolute)[:, None] + signs @ absolute) * SAFE + r.score_underflow
            allowed = Ball(score.mid[h][rows, at], score.rad[h][rows, at])  # (C, J, W)
            worst = float(error[rows, at].max())
            distance = np.maximum(float(allowed.high.max()) - score[h].low, 0.0)
            lam = (error + r.unit * (distance + 2.0 * worst) + r.exp_error) * SAFE
            weight = lam + (_normaliser(allowed, lam[rows, at]) + r.sum_error) * SAFE
            moved.append(growth(weight * SAFE) * SAFE)
            grown.append(growth((weight + r.path) * SAFE) * SAFE)
            symbol.append(signs @ r.logit_sizes * SAFE)
            slot.append(places @ r.logit_sizes * SAFE)
        constant = np.abs(layer.bias.mid) + (0.0 if layer.skip is None else own @ np.abs(layer.skip.mid))
        longest = max(r.path for r in budget.heads)
        underflow = sum(r.underflow for r in budget.heads) * SAFE
        return cls(
            np.array(grown),
            np.array(symbol),
            np.array(slot),
            constant * SAFE,
            float(growth(longest)) * SAFE,
            underflow,
            np.array(moved),
            np.array([float(growth(r.path)) for r in budget.heads]) * SAFE,
            np.array([float(growth(r.sum_error)) for r in budget.heads]) * SAFE,
        )

    def taken(self, label: np.ndarray, rival: np.ndarray, at: np.ndarray) -> np.ndarray:
        """(L, H, J, W) what the margins of (L,) labels against rivals may lose, at the columns at (L, J, W)."""
        rows = np.arange(at.shape[1])[:, None]
        symbol = np.moveaxis(self.symbol, 2, 0)  # (k, H, S)
        slot = np.moveaxis(self.slot, 2, 0)
        of_symbol, of_slot = symbol[label] + symbol[rival], slot[label] + slot[rival]
        flat = np.broadcast_to(at.reshape(len(at), 1, -1), (len(at), of_symbol.shape[1], at[0].size))
        size = np.take_along_axis(of_symbol, flat, axis=2).reshape(*of_slot.shape, -1) + of_slot[..., None]
        return self.grown[:, rows, at].transpose(1, 0, 2, 3) * size * SAFE

    def taken_once(self, label: np.ndarray, rival: np.ndarray) -> np.ndarray:
        """(L,) what the constants of (L,) labels against rivals may lose, underflow of everything included."""
        return ((self.constant[label] + self.constant[rival]) * self.path + self.underflow) * SAFE


def _normaliser(score: Ball, lam: np.ndarray) -> float:
    """Log-error of sum_j e^_j before its own roundings, on every input of every cell; score and lam (C, J, W).

    It is at most the greatest lam_j, and at most s / (1 - s), s the greatest share by which all terms together move.
    """
    greatest = float(lam.max())
    e = exp(score - Ball.exact(np.full(score.mid.shape, float(score.mid.max()))))
    moved = float(sum_high((e.high * growth(lam)).max(axis=(0, 2))))
    whole = float(sum_low(np.maximum(e.low, 0.0).min(axis=(0, 2))))
    if moved * SAFE * 2.0 < whole:
        share = moved * SAFE / whole
        return min(greatest, share / (1.0 - share) * SAFE)
    return greatest
