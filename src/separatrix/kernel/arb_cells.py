"""Kind `separable` in Arb: the sums of `cells`, on the task's own cells, without any of its numeric code."""

from __future__ import annotations

from functools import reduce
from typing import Any

import numpy as np

from separatrix.core.arch import Attention, Table
from separatrix.core.domain import CellGroup, Labels, PointerSets, Sequence
from separatrix.core.errors import RejectedError, UnknownError
from separatrix.kernel.arb_nets import BITS, Head, entries, exact, number, precision
from separatrix.kernel.case import Case

MOST_ENTRIES = 2**22  # of the embedding
FEW_TERMS = 2**20  # of all sums together: some seconds at most

Seats = dict[int, tuple[list[int], list[int]]]  # by alphabet: (numbers of its symbols, positions that hold any of them)
Forced = list[list[tuple[int, int]]]  # by cell: (position, number of the symbol there)


def check_separable(case: Case) -> str:
    """Every cell of every query, as in `separable`; RejectedError where one fails."""
    domain = _domain(case)
    case.fields()
    cells = 0
    for query in case.task.queries(case.n):
        groups = case.task.cells(case.n, query)
        if groups is None:
            raise UnknownError(f"task {case.task.name} has no cells; nothing can be said about all inputs")
        others = {id(a): np.asarray(a) for j, a in enumerate(domain.alphabets) if j != query}
        used = np.unique(np.concatenate([np.zeros(0, dtype=np.int64), *others.values()]))
        heads: dict[int, Head] = {}
        count = 0
        for group in groups:
            forced, seats = _open(group, domain, query, used, case.model().readout.outputs)
            left = set(range(len(group)))
            for bits in BITS:
                with precision(bits):
                    if bits not in heads:
                        heads[bits] = Head.of(case.model(), case.tensors, domain.positions, used)
                    left = _undecided(heads[bits], group, forced, seats, sorted(left))
                if not left:
                    break
            else:
                raise UnknownError(f"query position {query}: cell {min(left)} is not decided with {BITS[-1]} bits")
            cells, count = cells + len(group), count + len(group)
            case.progress(f"{cells:,} cells, arb")
        if not count:
            raise RejectedError(f"task {case.task.name} has no cells at position {query}, of which nothing is proved")
    if not cells:
        raise RejectedError("the task has no cells at this length")
    return f"the model answers {case.where} right on every input ({cells} cells, real arithmetic, arb)"


def _domain(case: Case) -> Sequence:
    """The task's domain, if the model is one unmasked head that fits it."""
    domain, outputs, arch = case.task.domain(case.n), case.task.outputs(), case.model()
    layer, first = arch.layers[0], arch.first
    if len(arch.layers) != 1 or not isinstance(layer, Attention) or layer.heads != 1 or layer.mask != "none":
        raise UnknownError("the separable check decides models of one attention layer with one head, unmasked")
    if layer.norm != "none":
        raise UnknownError("the separable check decides models without layer norm")
    if not isinstance(first, Table) or arch.readout.decision != "argmax":
        raise UnknownError("the separable check needs a token table and an argmax read-out")
    if domain.vocabulary != first.vocabulary:
        raise RejectedError(f"the model knows {first.vocabulary} tokens, the task {domain.vocabulary}")
    if not isinstance(outputs, Labels) or outputs.k != arch.readout.outputs:
        raise RejectedError(f"the model has {arch.readout.outputs} outputs, the task {outputs}")
    if domain.constraint.kind != "product" or domain.reals is not None or domain.lengths or case.arrays:
        raise UnknownError("arb decides product cells of one length, and reads no prices")
    if any(isinstance(a, PointerSets) for a in {id(a): a for a in domain.alphabets}.values()):
        raise UnknownError("the separable check needs one symbol a token")
    if first.positions not in (0, domain.positions):
        raise UnknownError(f"the model has {first.positions} positions, the task {domain.positions}")
    if (domain.positions + domain.vocabulary) * arch.width > MOST_ENTRIES:
        raise UnknownError(f"the embedding has more than {MOST_ENTRIES} entries; take the float64 engine")
    return domain


def is_small(case: Case) -> bool:
    """Whether all sums together have few terms."""
    domain, outputs, terms = case.task.domain(case.n), case.task.outputs(), 0
    rivals = outputs.k if isinstance(outputs, Labels) else 1
    for query in case.task.queries(case.n):
        symbols = max((len(a) for j, a in enumerate(domain.alphabets) if j != query), default=1)
        for group in case.task.cells(case.n, query) or ():
            labels = 1 if group.labels is None else len(np.unique(group.labels))
            terms += labels * rivals * domain.positions * symbols
            if terms > FEW_TERMS:
                return False
    return True


def _open(group: CellGroup, domain: Sequence, query: int, used: np.ndarray, outputs: int) -> tuple[Forced, Seats]:
    """What the cells force, and who may hold what; an error for cells that the check is not about."""
    if group.constraint.kind != "product":
        raise UnknownError("arb decides product cells only")
    where: tuple[Any, ...] = group.background or domain.alphabets
    labels, places = group.labels, group.positions
    if group.query != query or not isinstance(group.token, int) or not 0 <= group.token < domain.vocabulary:
        raise RejectedError(f"a cell has another query than {query}, or no single symbol there")
    if (
        labels is None
        or labels.shape != (len(group),)
        or not all(type(a) is int and 0 <= a < outputs for a in labels.tolist())
    ):
        raise RejectedError("a cell has no label, or one that is no output of the model")
    if len(where) != domain.positions or group.symbols.shape != places.shape:
        raise RejectedError("a cell of this task is not a product of what the positions may hold")
    if places.size and (places.min() < 0 or places.max() >= domain.positions or (places == query).any()):
        raise RejectedError("a cell forces its own query, or no position")
    if any(len(set(row)) != len(row) for row in places.tolist()) or not np.isin(group.symbols, used).all():
        raise RejectedError("a cell forces a position twice, or a symbol that no position allows")
    seats: Seats = {}
    for j, alphabet in enumerate(where):
        if j != query and id(alphabet) not in seats:
            if not len(alphabet) or not np.isin(alphabet, used).all():
                raise RejectedError("a cell allows no symbol, or one outside its domain")
            seats[id(alphabet)] = (np.searchsorted(used, alphabet).tolist(), [])
        if j != query:
            seats[id(alphabet)][1].append(j)
    numbers = np.searchsorted(used, group.symbols).tolist()
    return [list(zip(p, s, strict=True)) for p, s in zip(places.tolist(), numbers, strict=True)], seats


def _undecided(head: Head, group: CellGroup, forced: Forced, seats: Seats, of: list[int]) -> set[int]:
    """The cells among `of` whose least margin may have either sign; RejectedError where one is not positive.

    With s = t(symbol) + p(position), the margin of a cell is sum_j e^{p_j} min_s e^{t_s} (u_s + u_j), the minimum
    over what position j may hold; `forced` has (position, number of the symbol there) of every cell.
    """
    assert group.labels is not None
    x = exact(head.token[group.token]) + exact(head.place[group.query])
    ask = (x * head.query).transpose()
    const = head.bias if head.skip is None else head.bias + x * head.skip
    e_symbol, e_place = ([row[0].exp() for row in entries(keys * ask)] for keys in (head.symbol_keys, head.place_keys))
    rows = [x] if head.blank is None else [x, head.blank]
    singles = [((row * head.key * ask)[0, 0].exp(), row * head.logits + const) for row in rows]
    classes: dict[tuple[int, int], list[int]] = {}  # (kind, alphabet): positions
    for name, (_, positions) in seats.items():
        for j in positions:
            classes.setdefault((head.kinds[j], name), []).append(j)
    weights = {name: sum((e_place[j] for j in js), number(0)) for name, js in classes.items()}
    class_of = {j: name for name, js in classes.items() for j in js}
    labels, left, k = group.labels.tolist(), set(), const.ncols()
    for label in {labels[c] for c in of}:
        for rival in set(range(k)) - {label}:
            gap = const[0, label] - const[0, rival]
            unit = [u[label] - u[rival] + gap for u in head.symbol_logits]
            base, terms = number(0), {}
            for e, u in singles:
                base += e * (u[0, label] - u[0, rival])
            for (kind, name), js in classes.items():
                more = number(0) if kind < 0 else head.place_logits[js[0]][label] - head.place_logits[js[0]][rival]
                values = [e * (m + more) for e, m in zip(e_symbol, unit, strict=True)]
                least = reduce(lambda a, b: a.min(b), [values[s] for s in seats[name][0]])
                terms[kind, name] = values, least
                base += weights[kind, name] * least
            for c in (c for c in of if labels[c] == label):
                total = base
                for j, s in forced[c]:
                    values, least = terms[class_of[j]]
                    total += e_place[j] * (values[s] - least)
                if total <= 0:
                    raise RejectedError(
                        f"query position {group.query}, token {group.token}: "
                        f"cell {c} does not beat answer {rival} (least weighted margin {float(total.mid()):.3g})"
                    )
                if not total > 0:
                    left.add(c)
    return left
