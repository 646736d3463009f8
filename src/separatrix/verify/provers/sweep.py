"""The sweep behind the separable prover, in plain float64: the least sum over every cell, its input, and prices.

It proves nothing: inputs go to the model itself, prices to the kernel.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from separatrix.core.arch import Attention
from separatrix.core.domain import CellGroup
from separatrix.core.task import Task
from separatrix.models.model import Model
from separatrix.verify.provers.minimise import assign, least_word

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
    symbols = max((len(a) for a in {id(a): a for a in task.domain(n).alphabets}.values()), default=0)
    if (
        task.domain(n).positions * min(symbols, len(model.tensors["embed.token"])) * model.arch.readout.outputs
        > MOST_TERMS
    ):
        return found
    for query in task.queries(n):
        sheet = None
        for group in task.cells(n, query) or ():
            if sheet is None or not sheet.is_of(group):
                sheet = Sheet.of(model, task, n, group)
            for value, tokens in _minimisers(sheet, group, cells, found.prices, slack):
                found.candidates.append((value, tokens, query))
            cells += len(group)
            if time.monotonic() - start > SECONDS:
                break
            if len(found.candidates) > 2 * CANDIDATES:
                found.candidates = sorted(found.candidates, key=lambda c: c[0])[:CANDIDATES]
    found.candidates = sorted(found.candidates, key=lambda c: c[0])[:CANDIDATES]
    return found


@dataclass(frozen=True, slots=True)
class Sheet:
    """Weights and logit contributions of one query's token, for the symbols that a group allows.

    e (T, S): exponentials of scores, the greatest 1 or below. values (T, S, k): what each adds to the logits, constants
    included. e_single, singles (1 or 2,), (1 or 2, k): of the query's own token and the blank. allowed (T, S): none at
    the query. kin: token, background and forced symbols of the groups that it is for.
    """

    kin: tuple[object, ...]
    used: np.ndarray
    allowed: np.ndarray
    e: np.ndarray
    values: np.ndarray
    e_single: np.ndarray
    singles: np.ndarray

    @classmethod
    def of(cls, model: Model, task: Task, n: int, group: CellGroup) -> Sheet:
        """From the weights, in float64."""
        t, layer, query = model.tensors, model.arch.layers[0], group.query
        assert isinstance(layer, Attention)
        domain, token = task.domain(n), t["embed.token"].astype(np.float64)
        place = np.zeros((domain.positions, token.shape[1]))
        if "embed.position" in t:
            place = t["embed.position"].astype(np.float64)
        readout = t["readout.weight"].astype(np.float64)
        logits = t["layers.0.value"][0].astype(np.float64) @ t["layers.0.output"][0].astype(np.float64) @ readout
        x = token[group.token] + place[query]
        g = x @ t["layers.0.query"][0].astype(np.float64) @ t["layers.0.key"][0].astype(np.float64).T * layer.scale
        const = t["readout.bias"] + (x @ readout if layer.residual else 0.0)
        where = group.background or domain.alphabets
        kinds = {id(a): np.asarray(a) for a in where}
        used = np.unique(np.concatenate([*kinds.values(), group.symbols.reshape(-1), [group.token]])).astype(np.int64)
        by_alphabet = {key: np.isin(used, a) for key, a in kinds.items()}
        allowed = np.stack([by_alphabet[id(a)] for a in where])
        allowed[query] = False
        rows = np.stack([x] + ([t["embed.blank"].astype(np.float64)] if model.arch.blank else []))
        scores, single = (place @ g)[:, None] + token[used] @ g, rows @ g
        top = max(scores.max(), single.max())
        values = (token[used] @ logits)[None] + (place @ logits)[:, None] + const
        kin = (group.token, group.background, group.symbols.tobytes())
        return cls(kin, used, allowed, np.exp(scores - top), values, np.exp(single - top), rows @ logits + const)

    def is_of(self, group: CellGroup) -> bool:
        """Whether the sheet serves this group too."""
        token, background, symbols = self.kin
        return token == group.token and background is group.background and symbols == group.symbols.tobytes()

    def terms(self, label: int) -> tuple[np.ndarray, np.ndarray]:
        """(T, S, k) weighted margins of `label` against every answer, and (k,) those of the singles together."""
        own = ((self.singles[:, [label]] - self.singles) * self.e_single[:, None]).sum(axis=0)
        return self.e[:, :, None] * (self.values[:, :, [label]] - self.values), own


def _minimisers(
    sheet: Sheet, group: CellGroup, first: int, prices: dict[int, dict[int, float]], slack: float
) -> Iterator[tuple[float, np.ndarray]]:
    """For each label of a group the least sum over cells and rivals, over the greatest term, with its input."""
    assert group.labels is not None
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


Best = tuple[float, int, int, np.ndarray]  # least sum, cell, rival, symbol number at each position


def _of_product(
    sheet: Sheet, group: CellGroup, cells: np.ndarray, label: int, terms: np.ndarray, own: np.ndarray
) -> Best:
    """The worst (cell, rival) among product cells: sums of least terms."""
    least = np.where(sheet.allowed[:, :, None], terms, np.inf).min(axis=1)
    least[group.query] = 0.0
    total = np.broadcast_to(least.sum(axis=0) + own, (len(cells), least.shape[1])).copy()
    at = np.searchsorted(sheet.used, group.symbols[cells])
    for f in range(group.positions.shape[1]):
        p = group.positions[cells, f]
        total += terms[p, at[:, f]] - least[p]
    total[:, label] = np.inf
    cell, rival = np.unravel_index(int(total.argmin()), total.shape)
    word = np.where(sheet.allowed, terms[:, :, rival], np.inf).argmin(axis=1)
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
    query, answers, used, best = group.query, terms.shape[2], sheet.used, None
    tied, kinds = group.constraint.places(len(sheet.allowed)), group.constraint.class_of(sheet.used)
    loose = np.setdiff1d(np.arange(len(sheet.allowed)), [*tied, query])
    for cell in cells.tolist():
        allowed = sheet.allowed.copy()
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
