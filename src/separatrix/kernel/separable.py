"""Certificate kind `separable`: one softmax head answers right on every input of every cell.

The answer beats rival c iff sum_j e^{s_j} (u_j[label] - u_j[c]) > 0, and on a product cell the least value of the sum
is the sum of the least terms; cells of other kinds have bounds of their own (see `constraints`). The kernel rebuilds
cells from the task and tables from the weights, and adds lower bounds; the certificate carries nothing but the claim,
and prices where symbols are distinct. What is proved of the words that a cell describes holds for its inputs, so cells
of any kind may cover a domain of any kind.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from itertools import islice

import numpy as np

from separatrix.core.arch import Arch, Table
from separatrix.core.domain import CellGroup, Labels, PointerSets, Sequence
from separatrix.core.errors import RejectedError, UnknownError
from separatrix.core.semantics import Semantics
from separatrix.core.task import Task
from separatrix.kernel.case import Case, Progress, silent
from separatrix.kernel.cells import Zones, margins_low, zones_of
from separatrix.kernel.layer import Layer, Tables, scores
from separatrix.kernel.prices import Prices
from separatrix.kernel.rounding import Rounding
from separatrix.kernel.row import Row

BLOCK = 128  # cell groups whose scores are computed together
COARSE = 4096  # from this many positions on, exps of relative error 2^-10 from a table are tried first


def check_case(case: Case) -> str:
    """The claim in a sentence, or an error."""
    case.fields()
    arch, prices = case.model(), None
    if case.arrays:
        prices = Prices.of(case, case.task.domain(case.n).vocabulary, arch.readout.outputs)
    cells = check(case.task, case.n, arch, case.tensors, case.semantics, case.progress, prices)
    return f"the model answers {case.where} right on every input ({cells} cells, {case.semantics} arithmetic)"


@np.errstate(all="ignore")  # overflow becomes an infinite radius, which proves nothing
def check(
    task: Task,
    n: int,
    arch: Arch,
    tensors: Mapping[str, np.ndarray],
    semantics: Semantics,
    progress: Progress = silent,
    prices: Prices | None = None,
) -> int:
    """Checks every cell of every query; returns their number, raises RejectedError (or UnknownError) otherwise."""
    domain, outputs = task.domain(n), task.outputs()
    if isinstance(arch.first, Table) and domain.vocabulary != arch.first.vocabulary:
        raise RejectedError(f"the model knows {arch.first.vocabulary} tokens, the task {domain.vocabulary}")
    if domain.reals is not None or domain.lengths:
        raise UnknownError("the separable check needs a domain of symbols and one length")
    if any(isinstance(alphabet, PointerSets) for alphabet in _distinct(domain.alphabets)):
        raise UnknownError("the separable check needs one symbol a token")
    if not isinstance(outputs, Labels) or outputs.k != arch.readout.outputs:
        raise RejectedError(f"the model has {arch.readout.outputs} outputs, the task {outputs}")
    layer = Layer.of(arch, tensors, domain.positions)
    rounding = Rounding.of(layer, semantics.spec) if semantics.spec else None
    interchangeable = not layer.position.mid.any()
    done: set[object] = set()
    cells = 0
    for query in task.queries(n):
        groups = task.cells(n, query)
        if groups is None:
            raise UnknownError(f"task {task.name} has no cells; nothing can be said about all inputs")
        others = domain.alphabets[:query] + domain.alphabets[query + 1 :]
        tables = Tables.of(layer, np.unique(np.concatenate([np.zeros(0, dtype=np.int64), *_distinct(others)])))
        zones, before = zones_of(domain.alphabets, query, tables.used), cells
        while block := list(islice(groups, BLOCK)):
            starts = (cells + np.cumsum([0, *map(len, block)])).tolist()
            cells = starts[-1]
            if any(group.query != query for group in block):
                raise RejectedError(f"the task gave cells of another query for query {query}")
            progress(f"{cells:,} cells")
            given = [
                None if prices is None else prices.within(*at) for at in zip(starts, map(len, block), strict=False)
            ]
            if any(p is not None and g.constraint.kind != "distinct" for p, g in zip(given, block, strict=True)):
                raise RejectedError("the certificate has prices of cells whose symbols need not be distinct")
            if interchangeable:  # equal cells need one check
                pairs = [(_representative(g, domain, done), p) for g, p in zip(block, given, strict=True)]
                block, given = [g for g, _ in pairs if g is not None], [p for g, p in pairs if g is not None]
            if block:
                _check_block(block, given, zones, domain.positions >= COARSE, layer, tables, rounding)
        if cells == before:
            raise RejectedError(f"task {task.name} has no cells at position {query}, of which nothing is proved")
    if not cells:
        raise RejectedError("the task has no cells at this length")
    if prices is not None:
        prices.require_cells(cells)
    return cells


def _check_block(
    block: list[CellGroup],
    prices: list[np.ndarray | None],
    zones: Zones,
    long: bool,
    layer: Layer,
    tables: Tables,
    rounding: Rounding | None,
) -> None:
    query = block[0].query
    x, g = layer.queries([group.token for group in block], query)  # pyright: ignore[reportArgumentType]
    place, symbol = scores(layer.position, g, layer.memo), scores(layer.token[tables.used], g)
    for b, group in enumerate(block):
        own = zones if group.background is None else zones_of(group.background, query, tables.used)
        for coarse in (True, False) if long else (False,):
            row = Row.of(layer, x[b], g[b], place[:, b], symbol[:, b], coarse)
            low = margins_low(group, own, layer, tables, row, rounding, prices[b])
            low[np.arange(len(group)), group.labels] = np.inf
            bad = np.argwhere(~(low > 0))
            if not len(bad):
                break
            if not coarse:
                cell, rival = bad[0]
                raise RejectedError(
                    f"query position {query}, token {group.token}: cell {cell} is not proved to beat answer {rival} "
                    f"(least weighted margin {low[cell, rival]:.3g})"
                )


def _distinct(alphabets: tuple) -> list:
    return list(dict(zip(map(id, alphabets), alphabets, strict=True)).values())


def _representative(group: CellGroup, domain: Sequence, done: set[object]) -> CellGroup | None:
    """One cell for all that are equal up to a permutation of positions; None when an equal group was seen.

    Groups whose constraint ties positions together are left alone: a permutation may lead out of these positions.
    """
    where = group.background or domain.alphabets
    others = _distinct(where[: group.query] + where[group.query + 1 :])
    tied = group.constraint.kind != "product"
    if tied or group.positions.shape[1] > 1 or len(others) > 1 or group.labels is None:
        return group
    cells = np.concatenate([group.symbols, group.labels[:, None]], axis=1)
    key = (group.token, group.constraint, cells.shape, cells.tobytes(), *(a.tobytes() for a in others))
    if key in done:
        return None
    done.add(key)
    _, first = np.unique(cells, axis=0, return_index=True)
    return replace(group, positions=group.positions[first], symbols=group.symbols[first], labels=group.labels[first])
