"""Pairs of a cell and a rival in boxes, for the relu prover: their functionals, true values, and failing inputs.

Nothing here is trusted.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from separatrix.verify.provers.relu_ranges import Ranges, units
from separatrix.verify.provers.relu_view import View


@dataclass(frozen=True, slots=True)
class Pairs:
    """P pairs (cell, rival), with the boxes that they are looked at in.

    masks (parts, J, S), row (P,): what the slots may hold. label (P,). beta (P, F), constant, tilt (P,): of the margin,
    with bounds (P, 2) of S. heads, s: boxes (P, 2, H) and (P, 2). units (P, 2, F): ranges of the pre-activations there.
    scale (P,): about the size of the margin's terms.
    """

    masks: np.ndarray
    row: np.ndarray
    cell: np.ndarray
    rival: np.ndarray
    label: np.ndarray
    beta: np.ndarray
    constant: np.ndarray
    tilt: np.ndarray
    outer: np.ndarray
    heads: np.ndarray
    s: np.ndarray
    units: np.ndarray
    scale: np.ndarray

    @classmethod
    def of(cls, view: View, ranges: Ranges) -> Pairs:
        """Every pair of a group, cells first, in whole cells."""
        net, labels = view.net, view.labels
        cell, rival = np.divmod(np.arange(len(labels) * net.answers), net.answers)
        keep = rival != labels[cell]
        cell, rival = cell[keep], rival[keep]
        label = labels[cell]
        beta = (net.beta[:, label] - net.beta[:, rival]).T
        heads, s, outer = (np.stack(e, axis=1)[cell] for e in (ranges.heads, ranges.s, ranges.outer))
        p = np.stack(units(view, ranges.features, ranges.s), axis=1)[cell]
        constant, tilt = (part[label] - part[rival] for part in (net.constant, net.tilt))
        if view.loss is not None:  # what is left of a margin in floating point
            constant = constant - view.loss.taken(labels, units(view, ranges.features, ranges.s)[1])[cell, rival]
        out = 0.0
        if net.outs:
            columns = slice(net.hidden, net.hidden + net.answers)
            out = sum(np.abs(v[..., columns]).max() for v in view.values)
        scale = (np.abs(beta) * np.abs(p).max(axis=1)).sum(axis=1)
        scale = scale + (np.abs(constant) + np.abs(tilt) * outer[:, 1] + out) * s[:, 1]
        return cls(view.words.cells, cell, cell, rival, label, beta, constant, tilt, outer, heads, s, p, scale)

    def __len__(self) -> int:
        return len(self.cell)

    def __getitem__(self, index: np.ndarray) -> Pairs:
        names = ("row", "cell", "rival", "label", "beta", "constant", "tilt", "outer", "heads", "s", "units", "scale")
        return replace(self, **{name: getattr(self, name)[index] for name in names})

    def slopes(self) -> np.ndarray:
        """(P, F) where to begin: exact where the sign is known, the chord where beta < 0, else 0 or beta."""
        low, high = self.units[:, 0], self.units[:, 1]
        chord = np.where(high > 0, high / np.maximum(high - low, 1e-300), 0.0)
        share = np.where(low >= 0, 1.0, np.where(high <= 0, 0.0, np.where(self.beta < 0, chord, high > -low)))
        return self.beta * share

    def limits(self) -> tuple[np.ndarray, np.ndarray]:
        """(2, P, F) between which slopes are looked for, and (P, F) about how far they go.

        Where the box is one side of a cut, slopes beyond beta or 0 make the cut count.
        """
        low, high = self.units[:, 0], self.units[:, 1]
        size = np.maximum(
            np.abs(self.beta), np.abs(self.beta).sum(axis=1, keepdims=True) / (4 * max(1, self.beta.shape[1]))
        )
        least, most = np.minimum(self.beta, 0.0), np.maximum(self.beta, 0.0)
        least = np.where(low >= 0, np.where(low == 0, self.beta - 4 * size, self.beta), least)
        most = np.where(low >= 0, self.beta, most)
        least = np.where((high <= 0) & (low < 0), 0.0, least)
        most = np.where((high <= 0) & (low < 0), np.where(high == 0, 4 * size, 0.0), most)
        return np.stack([least, most]), size

    def delta(self, slope: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """(P, F) the least of beta relu(p) - slope p over the box, and where it is attained."""
        low, high = self.units[:, 0], self.units[:, 1]
        at = np.stack([low, np.clip(0.0, low, high), high])
        value = self.beta * np.maximum(at, 0.0) - slope * at
        best = value.argmin(axis=0)[None]
        return np.take_along_axis(value, best, 0)[0], np.take_along_axis(at, best, 0)[0]

    def tilted(self) -> np.ndarray:
        """(P,) the least of t S."""
        return np.minimum(self.tilt * self.outer[:, 0], self.tilt * self.outer[:, 1])


def functionals(view: View, pairs: Pairs, slope: np.ndarray, s: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(P, M) and (P,): the functional and the constant at this end of s, without delta."""
    net = view.net
    weights = np.zeros((len(pairs), view.own.shape[0]))
    weights[:, : net.hidden] = slope
    if net.outs:
        at = np.arange(len(pairs))
        weights[at, net.hidden + pairs.label] = s
        weights[at, net.hidden + pairs.rival] = -s
    const = (slope * (net.shift + net.slope * s[:, None])).sum(axis=1)
    return weights, const + s * (pairs.constant + pairs.tilted()) + weights @ view.own


def margins(view: View, pairs: Pairs, choice: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(P,) the true value, s times the margin, of one input a pair (P, J), and the gradient's weights (P, M)."""
    net = view.net
    f = view.features(choice)
    hidden, d = net.hidden, net.width
    c = f[:, f.shape[1] - net.coordinates :]
    s = np.ones(len(pairs))
    if net.inner is not None:
        s = np.sqrt((c**2).sum(axis=1) / d + d * d * net.inner)
    p = f[:, :hidden] + net.shift + net.slope * s[:, None]
    relu = np.maximum(p, 0.0)
    outer = np.ones(len(pairs))
    if net.outer is not None:
        c = c * net.outs + (relu / s[:, None]) @ net.middle + net.middle_bias
        outer = np.sqrt((c**2).sum(axis=1) / d + d * d * net.outer)
    weights, _ = functionals(view, pairs, pairs.beta * (p > 0), s)
    out = (weights[:, hidden:] * f[:, hidden:]).sum(axis=1)
    value = out + s * (pairs.constant + pairs.tilt * outer) + (pairs.beta * relu).sum(axis=1)
    return value, weights


def descend(view: View, pairs: Pairs, choice: np.ndarray, rounds: int = 6) -> tuple[np.ndarray, np.ndarray]:
    """The least true value (P,) found from the inputs (P, J), and its input: steps by the linearised netview."""
    best, weights = margins(view, pairs, choice)
    where = choice.copy()
    open_ = np.arange(len(pairs))
    for _ in range(rounds):
        if not len(open_):
            break
        n, d = view.sums(choice)
        a = view.functional(weights)
        r = np.einsum("phm,pm->ph", n, weights) / d
        cost = ((view.e * (a - r[:, :, None, None])) / d[:, :, None, None]).sum(axis=1)
        _, choice = view.words.least(cost, pairs.masks, pairs.row[open_])
        value, weights = margins(view, pairs[open_], choice)
        better = value < best[open_] - 1e-12 * pairs.scale[open_]
        open_, choice, weights = open_[better], choice[better], weights[better]
        best[open_], where[open_] = value[better], choice
    return best, where
