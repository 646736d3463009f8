"""The sweep behind the separable prover, in plain float64: the least sum over every cell, its input, and prices.

It proves nothing: inputs go to the model itself, prices to the kernel.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from separatrix.core.domain import CellGroup
from separatrix.core.task import Task
from separatrix.models.model import Model
from separatrix.verify.provers.limits import GRACE, time_left
from separatrix.verify.provers.minimise import assign, least_word
from separatrix.verify.provers.sheet import Net, Sheet

CANDIDATES = 256  # worst inputs that are kept
SECONDS = 20.0  # after which a sweep makes do with the cells that it has seen
MOST_TERMS = 2**27  # of one label of one group


@dataclass
class Found:
    """What a sweep leaves.

    candidates: (value, tokens, query), the least sums over the sum of absolute terms first. prices: by the number of
    cell and answer, the prices of the classes (see `kernel.prices`), where prices 0 might not do.
    """

    candidates: list[tuple[float, np.ndarray, int]]
    prices: dict[int, dict[int, float]]

    def arrays(self, vocabulary: int) -> dict[str, np.ndarray]:
        """The arrays of a certificate."""
        pairs = np.array(sorted(self.prices), dtype=np.int64)
        prices = np.zeros((len(pairs), vocabulary))
        for row, pair in enumerate(pairs.tolist()):
            prices[row, list(self.prices[pair])] = list(self.prices[pair].values())
        return {"pairs": pairs, "prices": prices}


@np.errstate(all="ignore")  # overflow finds no input and no price
def sweep(model: Model, task: Task, n: int, slack: float = 1e-9) -> Found:
    """The minimisers of all cells; prices where the bound at prices 0 is below `slack` times the sum of sizes.

    Of the cells that `SECONDS` suffice for, and of none where one group is too large to be held.
    """
    found, cells, start = Found([], {}), 0, time.monotonic()
    limit = min(SECONDS, time_left(SECONDS) + GRACE)
    net, domain = Net.of(model, task.domain(n).positions), task.domain(n)
    symbols = max((len(a) for a in {id(a): a for a in domain.alphabets}.values()), default=0)
    large = domain.positions * min(symbols, len(net.token)) * model.arch.readout.outputs > MOST_TERMS
    for query in task.queries(n):
        sheet = None
        for group in task.cells(n, query) or ():
            if sheet is None or not sheet.is_of(group):
                sheet = Sheet.of(net, domain, group)
            if not large or sheet.is_light(group):
                for value, tokens in _minimisers(sheet, group, cells, found.prices, slack):
                    found.candidates.append((value, tokens, query))
            cells += len(group)
            if time.monotonic() - start > limit:
                break
            if len(found.candidates) > 2 * CANDIDATES:
                found.candidates = sorted(found.candidates, key=lambda c: c[0])[:CANDIDATES]
    found.candidates = sorted(found.candidates, key=lambda c: c[0])[:CANDIDATES]
    return found


def _minimisers(
    sheet: Sheet, group: CellGroup, first: int, prices: dict[int, dict[int, float]], slack: float
) -> Iterator[tuple[float, np.ndarray]]:
    """For each label of a group the least sum over cells and rivals, over the greatest term, with its input."""
    assert group.labels is not None
    if sheet.is_light(group):
        yield from _of_light(sheet, group)
        return
    for label in np.unique(group.labels).tolist():
        cells, (terms, own) = np.flatnonzero(group.labels == label), sheet.terms(label)
        if group.constraint.kind == "product":
            best = _of_product(sheet, group, cells, label, terms, own)
        else:
            best = _of_tied(sheet, group, cells, label, terms, own, first, prices, slack)
        if best is None:
            continue
        value, cell, rival, word = best
        tokens = sheet.used[word]
        tokens[group.query] = group.token
        tokens[group.positions[cell]] = group.symbols[cell]
        scale = float(np.abs(terms[:, :, rival]).max()) + float(np.abs(own).max()) + 1e-300
        yield value / scale, tokens


def _of_light(sheet: Sheet, group: CellGroup) -> Iterator[tuple[float, np.ndarray]]:
    """The worst input of a group of product cells, where positions add nothing to the logits.

    The term of position j and symbol s is e_j e_s u_s: in each zone one symbol is the least at all positions.
    """
    assert group.labels is not None
    labels, of_cell = np.unique(group.labels, return_inverse=True)
    key = sheet.e_sign.tobytes() + sheet.of_sign.tobytes() + labels.tobytes()
    if key not in sheet.net.memo:
        sheet.net.memo.clear()
        sheet.net.memo[key] = sheet.e_sign[:, None, None] * (sheet.of_sign[:, labels, None] - sheet.of_sign[:, None])
    terms, total = sheet.net.memo[key], sheet.own(labels)  # (S, A, k), (A, k)
    least, zone_of = [], np.full(len(sheet.e_place), -1)
    for number, (symbols, places) in enumerate(sheet.zones):
        least.append(terms[symbols].min(axis=0))
        zone_of[places] = number
        total = total + sheet.e_place[places].sum() * least[-1]
    total, lowest = total[of_cell], np.array(least).reshape(len(least), *total.shape)
    at = np.searchsorted(sheet.used, group.symbols)
    for f in range(group.positions.shape[1]):
        p = group.positions[:, f]
        more = terms[at[:, f], of_cell] - lowest[zone_of[p], of_cell]
        total = total + sheet.e_place[p][:, None] * more
    total = np.where(np.arange(total.shape[1]) == group.labels[:, None], np.inf, total)
    cell, rival = np.unravel_index(int(total.argmin()), total.shape)
    own, tokens = terms[:, of_cell[cell], rival], np.empty(len(sheet.e_place), dtype=np.int64)
    for symbols, places in sheet.zones:
        tokens[places] = sheet.used[np.where(symbols, own, np.inf).argmin()]
    tokens[group.query] = group.token
    tokens[group.positions[cell]] = group.symbols[cell]
    yield float(total[cell, rival]) / (float(np.abs(own).max(initial=0.0) * sheet.e_place.max()) + 1e-300), tokens


Best = tuple[float, int, int, np.ndarray]  # least sum, cell, rival, symbol number at each position


def _of_product(
    sheet: Sheet, group: CellGroup, cells: np.ndarray, label: int, terms: np.ndarray, own: np.ndarray
) -> Best:
    """The worst (cell, rival) among product cells: sums of least terms."""
    allowed = sheet.allowed
    least = np.where(allowed[:, :, None], terms, np.inf).min(axis=1)
    least[group.query] = 0.0
    total = np.broadcast_to(least.sum(axis=0) + own, (len(cells), least.shape[1])).copy()
    at = np.searchsorted(sheet.used, group.symbols[cells])
    for f in range(group.positions.shape[1]):
        p = group.positions[cells, f]
        total += terms[p, at[:, f]] - least[p]
    total[:, label] = np.inf
    cell, rival = np.unravel_index(int(total.argmin()), total.shape)
    word = np.where(allowed, terms[:, :, rival], np.inf).argmin(axis=1)
    return float(total[cell, rival]), int(cells[cell]), int(rival), word


def _of_tied(
    sheet: Sheet,
    group: CellGroup,
    cells: np.ndarray,
    label: int,
    terms: np.ndarray,
    own: np.ndarray,
    first: int,
    prices: dict[int, dict[int, float]],
    slack: float,
) -> Best | None:
    """The same over words that obey the constraint, None where no product of their symbols fails.

    Prices of distinct words are entered into `prices`, by the number of cell and answer; cells count from `first`.
    """
    query, answers, used, best, seats = group.query, terms.shape[2], sheet.used, None, sheet.allowed
    tied, kinds = group.constraint.places(len(seats)), group.constraint.class_of(sheet.used)
    loose = np.setdiff1d(np.arange(len(seats)), [*tied, query])
    for cell in cells.tolist():
        allowed = seats.copy()
        allowed[query, np.searchsorted(used, group.token)] = True
        allowed[group.positions[cell]] = used == group.symbols[cell][:, None]
        if group.constraint.kind == "distinct":  # what is held somewhere is held nowhere else
            fixed = np.intersect1d(tied, [*group.positions[cell], query])
            elsewhere = np.isin(kinds, kinds[allowed[fixed].any(axis=0)])
            allowed[np.ix_(np.setdiff1d(tied, fixed), elsewhere)] = False
        costs = np.where(allowed[:, :, None], terms, np.inf)
        costs[query] = np.where(allowed[query], 0.0, np.inf)[:, None]
        least = costs.min(axis=1)
        relaxed, scale = least.sum(axis=0) + own, np.abs(least).sum(axis=0) + np.abs(own)
        for rival in np.flatnonzero(~(relaxed > slack * scale)).tolist():
            if rival == label:
                continue
            cost = costs[:, :, rival]
            if group.constraint.kind == "distinct":
                found, given = assign(group.constraint, cost[tied], used)
                if any(given.values()):
                    prices[(first + cell) * answers + rival] = given
            else:
                found = least_word(group.constraint, cost[tied], used)
            value = float(own[rival] + least[loose, rival].sum()) + found.value
            if best is None or value < best[0]:
                word = cost.argmin(axis=1)
                word[tied] = found.word
                best = value, cell, rival, word
    return best
