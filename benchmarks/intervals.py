"""What interval propagation through the softmax decides of the same cells.

It gets the tables of `cell_tables`: what it lacks is a better idea of the softmax, not of the embedding.
"""

from __future__ import annotations

import numpy as np

from benchmarks.cell_tables import CellTable

CLEAR = 1e-9  # a margin that is no longer rounding


def proves(cell: CellTable) -> bool:
    """Whether interval arithmetic proves the cell: w_j in [l_j / (l_j + sum of other h), h_j / (h_j + sum of other l)].

    Constraints that tie positions together are not expressible: cells are widened to products.
    """
    low, high = ranges(cell)
    f = cell.hidden
    ends = np.stack([np.maximum(low[:f], 0.0), np.maximum(high[:f], 0.0)])
    for rival in cell.rivals:
        turn = cell.out[:, cell.label] - cell.out[:, rival]
        direct = difference(cell, rival)
        least = (ends * turn).min(axis=0).sum() + direct
        if not least > CLEAR:
            return False
    return True


def weights(cell: CellTable) -> tuple[np.ndarray, np.ndarray]:
    """(H, J, W) least and greatest softmax weight of a column, where it stands and where it may stand."""
    shift = np.where(cell.allowed, cell.score, -np.inf).max(axis=(1, 2), keepdims=True)
    e = np.exp(cell.score - shift)
    low = np.where(cell.allowed, e, np.inf).min(axis=2)
    high = np.where(cell.allowed, e, -np.inf).max(axis=2)
    rest_low, rest_high = low.sum(axis=1, keepdims=True) - low, high.sum(axis=1, keepdims=True) - high
    return e / (e + rest_high[:, :, None]), e / (e + np.maximum(rest_low, 0.0)[:, :, None])


def _span(cell: CellTable, value: np.ndarray) -> np.ndarray:
    """Least sum over heads and positions of weight times value (H, J, W, ...), a column by itself."""
    least, most = (w.reshape(w.shape + (1,) * (value.ndim - 3)) for w in weights(cell))
    terms = np.minimum(least * value, most * value)
    allowed = cell.allowed.reshape(cell.allowed.shape + (1,) * (value.ndim - 3))
    return np.where(allowed, terms, np.inf).min(axis=2).sum(axis=(0, 1))


def ranges(cell: CellTable) -> tuple[np.ndarray, np.ndarray]:
    """(F + k,) intervals of the pre-activations and of what reaches the logits past the ReLU layer."""
    return _span(cell, cell.value) + cell.own, cell.own - _span(cell, -cell.value)


def difference(cell: CellTable, rival: int) -> float:
    """The interval's lower end of the label's logit less a rival's, ReLU layer aside."""
    at, other = cell.hidden + cell.label, cell.hidden + rival
    return float(_span(cell, cell.value[..., at] - cell.value[..., other]) + cell.own[at] - cell.own[other])
