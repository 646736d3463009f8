"""The separable sum: lower bounds of sum_j e^{s_j} (u_j[label] - u_j[rival]) on every input of every cell of a group.

Scores and logit contributions are additive, t(symbol) + p(position), so the term of position j and symbol s is
e^{p_j} e^{t_s} (u_s + u_j); on a product cell the least symbol at each position gives the exact minimum, and positions
that a constraint ties together are left to `constraints`. Floating point takes at most e^score (e^theta - 1) a from a
term (see `rounding`), which keeps the sum separable, whatever the set of words.
"""

from __future__ import annotations

import numpy as np

from separatrix.core.domain import CellGroup
from separatrix.core.errors import RejectedError
from separatrix.kernel.balls import Ball, below, least_product_low, sum_high, sum_low, times_low
from separatrix.kernel.constraints import Tied
from separatrix.kernel.layer import Layer, Tables
from separatrix.kernel.loss import Loss
from separatrix.kernel.rounding import SAFE, Rounding
from separatrix.kernel.row import Row

Zones = list[tuple[np.ndarray, np.ndarray]]  # (numbers of the symbols allowed, positions)
NUMBERS = 2**18  # in the largest array of some positions


def margins_low(
    group: CellGroup,
    zones: Zones,
    layer: Layer,
    tables: Tables,
    row: Row,
    rounding: Rounding | None,
    prices: np.ndarray | None = None,
) -> np.ndarray:
    """(cells, k) floats below the weighted margin of the label against every answer, on every input of each cell.

    prices (cells, k, vocabulary): for cells of distinct symbols; any are sound (see `constraints`).
    """
    query, forced = group.query, group.positions
    if not isinstance(group.token, int) or group.labels is None:
        raise RejectedError("a cell of this task has no single symbol at its query, or no label")
    if (forced == query).any() or (forced < 0).any() or (forced >= len(layer.position.mid)).any():
        raise RejectedError("a cell of this task forces its own query, or a position that is not there")
    labels, of_cell = np.unique(group.labels, return_inverse=True)
    const = layer.bias if layer.skip is None else layer.bias + (row.rows[:1] @ layer.skip)[0]
    name = (labels.tobytes(), const.mid.tobytes(), const.rad.tobytes())
    margin = tables.margins(name, labels, const)  # (A, k, S)
    own = (layer.read(row.rows) + const).pairs(labels).low  # (A, k, singles)
    loss = Loss.of(rounding, layer, tables, row, query, group.token, labels) if rounding else None
    if loss is not None:
        name = (*name, *loss.key)
        margin = tables.shrunk(name, margin, loss.sign)
        own = own - loss.underflow
    own = times_low(*row.e_single, own)
    if loss is not None:
        own = below(own - loss.single)

    tied = terms = None
    if group.constraint.kind != "product":
        tied = Tied.of(group, zones, tables.used, len(layer.position.mid))
        terms = _terms(margin, tables, row, loss, tied.rows, labels)
    low = np.empty((len(group), margin.mid.shape[1]))
    for places, cells in _by_places(forced):
        parts = [own[of_cell[cells], :, s] for s in range(own.shape[2])]
        for symbols, positions in zones:
            free = positions[~np.isin(positions, places if tied is None else np.concatenate([places, tied.rows]))]
            if len(free):
                parts.append(_zone(margin, name, tables, row, loss, symbols, free, labels)[of_cell[cells]])
        if tied is not None and terms is not None:
            parts.append(tied.low(terms, places, cells, of_cell, prices))
        for f, place in enumerate(places):
            at = np.searchsorted(tables.used, group.symbols[cells, f])
            if not np.array_equal(tables.used[np.minimum(at, len(tables.used) - 1)], group.symbols[cells, f]):
                raise RejectedError("a cell forces a symbol that no position allows")
            parts.append(_forced(margin, tables, row, loss, at, int(place), labels, of_cell[cells]))
        low[cells] = sum_low(np.stack(parts))
    return low


def _zone(
    margin: Ball,
    name: tuple[bytes, ...],
    tables: Tables,
    row: Row,
    loss: Loss | None,
    symbols: np.ndarray,
    free: np.ndarray,
    labels: np.ndarray,
) -> np.ndarray:
    """(A, k) below the least sum over the positions `free`, each holding any of `symbols`."""
    e_low, e_high = (e[symbols] for e in row.e_sign)
    place_low, place_high = (e[free] for e in row.e_place)
    if tables.position_free:
        key = (*name, e_low.tobytes(), e_high.tobytes(), symbols.tobytes())
        if key not in tables.memo:
            tables.memo.clear()
            lows = tables.lows((*name, symbols.tobytes()), margin, symbols)
            tables.memo[key] = least_product_low(e_low, e_high, lows)
        total = times_low(sum_low(place_low), sum_high(place_high), tables.memo[key])
    else:
        terms = np.empty((*margin.mid.shape[:2], len(free)))
        step = max(1, NUMBERS // margin.mid.size)
        for some in (slice(i, i + step) for i in range(0, len(free), step)):
            there = tables.lows_there((*name, symbols.tobytes()), margin, labels, symbols, free[some])
            least = least_product_low(e_low, e_high, there)
            terms[..., some] = times_low(place_low[some], place_high[some], least)
        total = sum_low(terms, axis=2)
    if loss is None:
        return total
    worst = sum_high(loss.place[free]) * loss.ceiling[:, :, symbols].max(axis=2)
    return below(total - worst * SAFE)


def _terms(
    margin: Ball, tables: Tables, row: Row, loss: Loss | None, places: np.ndarray, labels: np.ndarray
) -> np.ndarray:
    """(A, k, P, S) below the terms of the positions `places` holding each symbol; -inf where nothing is known."""
    there = margin[:, :, None]
    if not tables.position_free:
        there = there + tables.position_logits[places].pairs(labels)[..., None]
    term = times_low(*row.e_sign, there.low)
    place_low, place_high = (e[places][:, None] for e in row.e_place)
    term = times_low(place_low, place_high, term)
    if loss is not None:
        worst = loss.place[places][:, None] * loss.ceiling[:, :, None] * SAFE
        term = below(term - worst)
    return np.where(term > -np.inf, term, -np.inf)  # NaN becomes -inf


def _forced(
    margin: Ball,
    tables: Tables,
    row: Row,
    loss: Loss | None,
    at: np.ndarray,
    place: int,
    labels: np.ndarray,
    of_cell: np.ndarray,
) -> np.ndarray:
    """(cells, k) below the term of position `place` holding the symbol number `at` of each cell."""
    there = margin[of_cell, :, at]
    if not tables.position_free:
        there = there + tables.position_logits[[place]].pairs(labels)[of_cell, :, 0]
    term = times_low(row.e_sign[0][at][:, None], row.e_sign[1][at][:, None], there.low)
    term = times_low(row.e_place[0][place], row.e_place[1][place], term)
    if loss is None:
        return term
    return below(term - loss.place[place] * loss.ceiling[of_cell, :, at] * SAFE)


def zones_of(where: tuple, query: int, used: np.ndarray) -> Zones:
    """The positions other than the query by what they may hold; RejectedError for an empty or foreign alphabet."""
    numbers: dict[int, int] = {}
    kinds = np.fromiter((numbers.setdefault(id(a), len(numbers)) for a in where), dtype=np.int64, count=len(where))
    kinds[query] = -1
    first = {int(number): where[int(at)] for number, at in zip(*np.unique(kinds, return_index=True), strict=True)}
    zones = []
    for number, alphabet in first.items():
        if number >= 0:
            at = np.searchsorted(used, alphabet)
            if not len(alphabet) or not np.array_equal(used[np.minimum(at, len(used) - 1)], alphabet):
                raise RejectedError("a cell allows no symbol, or one outside its domain")
            zones.append((at, np.flatnonzero(kinds == number)))
    return zones


def _by_places(forced: np.ndarray) -> list[tuple[np.ndarray, np.ndarray]]:
    """The cells of a group by the positions that they force: (positions, cells)."""
    if len(forced) and np.array_equal(forced[1:], forced[:-1]):  # as for most tasks, and quickly
        places, which = forced[:1], np.zeros(len(forced), dtype=np.int64)
    else:
        places, which = np.unique(forced, axis=0, return_inverse=True)
    if (np.diff(np.sort(places, axis=1), axis=1) == 0).any():
        raise RejectedError("a cell of this task forces one position twice")
    return [(row, np.flatnonzero(which.reshape(-1) == i)) for i, row in enumerate(places)]
