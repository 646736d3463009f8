"""The heads check against enumeration, and what it refuses: sums, bounds, trees and arrays that do not fit."""

from __future__ import annotations

import dataclasses
import time
from collections import Counter
from collections.abc import Iterator

import numpy as np
import pytest

from core.reference import arb_logits, label_of, precision, random_tensors
from kernel.heads_cases import OneCell, cases, split_case, truth
from separatrix.core.arch import Arch, Attention, Readout, Table
from separatrix.core.certificate import Certificate, Claim
from separatrix.core.domain import CellGroup, Constraint
from separatrix.core.errors import SeparatrixError
from separatrix.core.guarantee import PROVED
from separatrix.core.semantics import REAL
from separatrix.core.task import Task
from separatrix.kernel import Verdict, judge
from separatrix.kernel.head_tables import View
from separatrix.kernel.head_trees import ALONE, CORNERS, MULTIPLIERS, Trees
from separatrix.kernel.heads import groups, margins_low, ranges, read_model
from separatrix.kernel.vertices import LEAST, Leaves, alone_low, corners_low
from separatrix.models.evaluate import evaluate
from separatrix.models.model import Model
from separatrix.tasks import registry
from separatrix.tasks.index_lookup import IndexLookup
from separatrix.verify.provers.head_cells import Bench, Part, Piece, decide, pieces
from separatrix.verify.provers.heads import prove

CLEAR = 1e-9


@pytest.fixture(autouse=True)
def one_cell(monkeypatch: pytest.MonkeyPatch) -> None:
    """Registers the test task for the duration of a test."""
    monkeypatch.setitem(registry._entries, "test-one-cell", OneCell)


def arb_margin_is_positive(model: Model, tokens: np.ndarray, query: int, label: int, rival: int) -> bool | None:
    """By 300-bit arithmetic; None where 300 bits do not tell."""
    logits = arb_logits(model, tokens, query)
    with precision():
        margin = logits[label] - logits[rival]
        return True if margin > 0 else False if margin <= 0 else None


def compare(seeds: range, seconds: float) -> Counter[str]:
    """Every pair of a cell and a rival of random models, by the prover and the kernel and by enumeration."""
    seen: Counter[str] = Counter()
    for made in cases(seeds):
        model, task, n = made.model, made.task, made.n
        layer = model.arch.layers[0]
        assert isinstance(layer, Attention)
        bench = Bench(model, task, n, REAL)
        for piece in pieces(model, task, n):
            part, group = search(bench, piece, seconds), piece.group
            assert group.labels is not None
            lows = bench.judged(piece, part.trees, np.empty((0, n + 1)), np.empty(0)).margins
            accepted = lows > 0
            state, true = part.state.reshape(accepted.shape), truth(model, task, n, group)
            assert (lows <= true.least + 1e-9).all(), made.family
            for pair, (cell, rival) in enumerate(np.ndindex(accepted.shape)):
                margin = true.least[cell, rival]
                label = int(group.labels[cell])
                other = int(rival + (rival >= label))
                seen["pairs"] += 1
                seen["fail"] += margin <= 0
                seen[f"{layer.heads} heads"] += 1
                if accepted[cell, rival] and margin < CLEAR:
                    worst = true.inputs[cell, rival]
                    assert arb_margin_is_positive(model, worst, group.query, label, other), made.family
                if state[cell, rival] < 0:
                    tokens = part.tokens[pair]
                    assert task.domain(n).contains(tokens) and label_of(task, n, tokens, group.query) == label
                    assert arb_margin_is_positive(model, tokens, group.query, label, other) is False, made.family
                    seen["refuted"] += 1
                elif accepted[cell, rival]:
                    seen["proved"] += 1
                    seen["cut"] += len(part.trees[pair].node) > 1
                    seen["corners"] += part.trees[pair].node[0] == CORNERS
                else:
                    seen["undecided"] += 1
    return seen


def search(bench: Bench, piece: Piece, seconds: float) -> Part:
    """As in a survey: the cheap round first, then what it left open."""
    part = decide(bench.board(piece), 0, 0.0)
    return decide(bench.board(piece), 300, time.perf_counter() + seconds, part)


@pytest.mark.parametrize("part", range(3))
def test_random_heads_agree_with_enumeration(part: int) -> None:
    seen = compare(range(part * 90, (part + 1) * 90), 0.2)
    assert seen["pairs"] >= 2000 and seen["fail"] >= 0.25 * seen["pairs"], seen
    assert seen["undecided"] <= 0.02 * seen["pairs"], seen
    assert min(seen["corners"], *(seen[f"{h} heads"] for h in (2, 3, 4))) >= 20, seen


@pytest.mark.slow
def test_many_more_random_heads() -> None:
    seen = compare(range(270, 1500), 2.0)
    assert seen["pairs"] >= 30_000 and seen["undecided"] <= 0.01 * seen["pairs"] and seen["cut"] >= 15, seen


# ------------------------------------------------------------------------------------------------ one certificate


def accepted() -> tuple[Model, OneCell, int, dict[str, np.ndarray]]:
    """A certificate with every kind of node."""
    model, task, n = split_case()
    outcome = prove(model, task, n, REAL)
    assert outcome.verdict == "proved" and outcome.certificate is not None, outcome.sentence
    return model, task, n, outcome.certificate.arrays


def verdict(model: Model, task: Task, n: int, given: dict[str, np.ndarray], semantics: str = "real") -> Verdict:
    claim = Claim(task.name, task.parameters(), n, "correct", semantics)
    certificate = Certificate("heads", claim, PROVED, task.source_sha256(), {}, given, model.reference())
    return judge(certificate, model.arch, model.tensors)


def test_a_certificate_with_cuts_is_accepted_and_its_parts_are_needed() -> None:
    model, task, n, good = accepted()
    assert {ALONE, CORNERS, MULTIPLIERS, 0} <= set(good["node"].tolist())
    assert verdict(model, task, n, good).accepted
    count = len(good["node"])
    for at in range(count):  # a node left out, doubled, or made another kind
        mutants = [np.delete(good["node"], at), np.insert(good["node"], at, good["node"][at])]
        for kind in (-4, -3, -2, -1, 0, 1, 2, 3, 2**40):
            mutants.append(good["node"].copy())
            mutants[-1][at] = kind
        for node in mutants:
            same = np.where(node == ALONE, CORNERS, node)  # what every head does alone, the corners do too
            if not np.array_equal(same, np.where(good["node"] == ALONE, CORNERS, good["node"])):
                made = verdict(model, task, n, good | {"node": node})
                assert not made.accepted and made.exit_code in (1, 2), (at, node)
    assert not verdict(model, task, n, good | {"node": good["node"][::-1].copy()}).accepted


def test_wrong_arrays_are_refused() -> None:
    model, task, n, good = accepted()
    for name, array in good.items():
        less = {other: value for other, value in good.items() if other != name}
        shapes = [array[:-1], np.concatenate([array, array[:1]]), array[None], array.reshape(-1), array[:0]]
        types = [array.astype(np.float32), array.astype(np.int32), array.astype(np.complex128), array.astype(object)]
        mutants = [less, less | {f"{name}_": array}, good | {"more": array}]
        mutants += [
            good | {name: new} for new in shapes + types if new.shape != array.shape or new.dtype != array.dtype
        ]
        if array.dtype == np.float64:
            for bad in (np.nan, np.inf, -np.inf):
                new = array.copy()
                new.reshape(-1)[-1] = bad
                mutants.append(good | {name: new})
        for mutant in mutants:
            made = verdict(model, task, n, mutant)
            assert not made.accepted and made.exit_code in (1, 2), (name, made)


def test_multipliers_and_bounds_cannot_be_bent() -> None:
    """tau moved, against the sum rule or past what the corners allow; negative multipliers; cuts outside the range."""
    model, task, n, good = accepted()
    mutants = []
    for leaf in range(len(good["tau"]) - 1):  # the last, every head alone, has room to move
        for head in range(3):
            for move in (-5.0, 30.0):
                tau = good["tau"].copy()
                tau[leaf, head] += move
                mutants.append(good | {"tau": tau})
    for name in ("plus", "minus"):
        negative = good[name].copy()
        negative[0, 0, 0] = -5e-324
        mutants.append(good | {name: negative})
        mutants.append(good | {name: good[name] + 100.0})
    mutants.append(good | {"tau": good["tau"][::-1].copy()})
    mutants.append(good | {"tau": good["tau"][[1, 0, *range(2, len(good["tau"]))]]})  # each half under the other
    for size in (1e308, -1e308, 1e302):
        mutants.append(good | {"tau": np.full_like(good["tau"], size)})
    for cut in (0.0, -1.0, 1e-300, 1e300, 5e-324):
        mutants.append(good | {"split": np.full_like(good["split"], cut)})
    for at, mutant in enumerate(mutants):
        made = verdict(model, task, n, mutant)
        assert not made.accepted and made.exit_code == 1, at


def test_rivals_cannot_be_exchanged() -> None:
    """The tree of one rival under another: the easy rival's proof says nothing about the hard one."""
    model, task, n, good = accepted()
    easy = {"node": np.array([ALONE] * 3), "tau": np.repeat(good["tau"][-1:], 3, axis=0)}
    empty = {name: good[name][:0] for name in ("split", "plus", "minus")}
    assert not verdict(model, task, n, easy | empty).accepted


def test_the_sum_rule_is_exact() -> None:
    """Two equal heads: tau = -const / 2 each is enough, and one unit in the last place less is not."""
    one = split_case()[0]
    arch = dataclasses.replace(one.arch, layers=(Attention(2, 2, 2, scale=1.0),), blank=False)
    rng = np.random.default_rng(3)
    checked = 0
    for _ in range(40):
        t = random_tensors(arch, rng, 0.6)
        for name in ("query", "key", "value", "output"):
            t[f"layers.0.{name}"] = np.repeat(t[f"layers.0.{name}"][:1], 2, axis=0)
        model, task = Model(arch, t), IndexLookup(4)
        heads = read_model(task, 2, arch, model.tensors)
        for group in groups(task, 2):
            view, true = View.of(heads, group, task.domain(2)), truth(model, task, 2, group)
            for cell, rival in np.argwhere(true.least > 0.05):
                label = int(view.labels[cell])
                other = int(rival + (rival >= label))
                constant = float((view.constant[[label]] - view.constant[[other]]).low[0])
                for nudge in (0, 1):
                    half = -constant / 2
                    tau = np.array([half, np.nextafter(half, -np.inf) if nudge else half])
                    one_pair = replace_rivals(view, int(cell), other)
                    good = {"node": np.array([CORNERS]), "tau": tau[None], "split": np.zeros(0)}
                    trees = Trees.of(good | {"plus": np.zeros((0, 2, 2)), "minus": np.zeros((0, 2, 2))}, 2, 1)
                    assert (margins_low(one_pair, trees)[0, 0] > 0) == (not nudge)
                    checked += 1
    assert checked >= 60


def replace_rivals(view: View, cell: int, rival: int) -> View:
    """The view of one cell with two answers only: the label (now 0) and one rival."""
    keep = [int(view.labels[cell]), rival]
    return dataclasses.replace(
        view,
        at=view.at[[cell]],
        symbol_logits=view.symbol_logits[:, :, keep],
        slot_logits=view.slot_logits[:, :, keep],
        constant=view.constant[keep],
        labels=np.array([0]),
    )


def test_bounds_are_below_the_sums_that_they_bound() -> None:
    """Random tau, boxes and multipliers: the kernel's least sums against the same sums over every input."""
    rng, made_leaves = np.random.default_rng(5), 0
    for made in cases(range(60, 80)):
        model, task, n = made.model, made.task, made.n
        heads = read_model(task, n, model.arch, model.tensors)
        for group in groups(task, n):
            view = View.of(heads, group, task.domain(n))
            low, high = ranges(view)
            h, answers = low.shape[1], len(view.constant.mid)
            for cell in range(len(group)):
                rival = int((view.labels[cell] + 1) % answers)
                inputs, n_sum, d_sum = sums(view, cell, rival)
                assert (d_sum >= low[cell]).all() and (d_sum <= high[cell]).all()
                if not (low[cell] > LEAST).all() or len(inputs) > 2000:
                    continue
                tau = rng.normal(size=h) * np.abs(n_sum / d_sum).max()
                a, b = low[cell], high[cell] * 1.5
                plus, minus = (rng.random((2, h)) * (rng.random((2, h)) < 0.5) / b for _ in range(2))
                leaf = Leaves(*(np.array([x]) for x in (cell, rival, tau, a, b, plus, minus)))
                ends = np.stack([1 / b, 1 / a])
                least = np.inf
                for corner in np.ndindex(*(2,) * h):
                    pick = (np.array(corner), np.arange(h))
                    value = ends[pick] * (n_sum - tau * d_sum) - plus[pick] * (d_sum - a) - minus[pick] * (b - d_sum)
                    least = min(least, float(value.sum(axis=1).min()))
                size = float(np.abs(ends[1] * (np.abs(n_sum) + np.abs(tau) * d_sum)).sum(axis=1).max()) + 2 * h
                bound = float(corners_low(view, leaf)[0])
                assert bound <= least + 1e-12 * size and bound >= least - 1e-8 * size
                alone = float((n_sum - tau * d_sum).min())
                assert float(alone_low(view, leaf)[0]) <= alone + 1e-12 * size * float(b.max())
                made_leaves += 1
    assert made_leaves >= 200


def sums(view: View, cell: int, rival: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Every input of a cell as columns (inputs, J), with N and D (inputs, H) from the middles of the tables."""
    import itertools

    columns = np.array(list(itertools.product(*(np.unique(row) for row in view.at[cell]))))
    slots, label = np.arange(columns.shape[1]), int(view.labels[cell])
    e = ((view.low + view.high) / 2)[:, slots, columns]  # (H, inputs, J)
    symbol = view.symbol_logits.mid[:, :, label] - view.symbol_logits.mid[:, :, rival]
    slot = view.slot_logits.mid[:, :, label] - view.slot_logits.mid[:, :, rival]
    u = symbol[:, columns] + slot[:, None, :]
    return columns, (e * u).sum(axis=2).T, e.sum(axis=2).T


# ------------------------------------------------------------------------------------------------ what is not decided


def test_unsuited_models_and_cells_are_refused() -> None:
    model, task, n, good = accepted()
    layer = model.arch.layers[0]
    for arch in (
        dataclasses.replace(model.arch, layers=(dataclasses.replace(layer, mask="causal"),)),
        dataclasses.replace(model.arch, readout=Readout(4, "reals")),
    ):
        assert verdict(Model(arch, model.tensors), task, n, good).exit_code in (1, 3)
    many = Arch(4, Table(6, 3), (Attention(11, 1, 1),), Readout(4))
    crowd = Model(many, random_tensors(many, np.random.default_rng(0)))
    assert verdict(crowd, task, n, good).exit_code == 3
    enormous = Arch(1, Table(6, 3), (Attention(4000, 1, 1),), Readout(4))
    made = verdict(Model(enormous, random_tensors(enormous, np.random.default_rng(0))), task, n, good)
    assert made.exit_code == 3 and made.seconds < 1.0
    with pytest.raises(SeparatrixError):
        list(groups(Odd(), n))
    heads = read_model(task, n, model.arch, model.tensors)
    first = next(iter(task.cells(n, n)))
    none = np.zeros((1, 1), dtype=np.int64)
    for changes in (
        {"labels": None},
        {"labels": np.array([4])},
        {"labels": np.array([-1])},
        {"token": 6},
        {"token": -1},
        {"token": (5,)},
        {"positions": none + n, "symbols": none},
        {"positions": none - 1, "symbols": none},
        {"positions": none + n + 1, "symbols": none},
        {"positions": none, "symbols": none + 6},
        {"positions": none, "symbols": none - 1},
        {"background": (np.zeros(0, dtype=np.int64),) * (n + 1)},
        {"background": (np.array([9]),) * (n + 1)},
        {"background": (np.array([0]),) * n},
        {"constraint": Constraint("distinct", positions=(0, n + 5))},
    ):
        with pytest.raises(SeparatrixError):
            View.of(heads, dataclasses.replace(first, **changes), task.domain(n))  # pyright: ignore


class Odd(IndexLookup):
    """Cells of another query."""

    def cells(self, n: int, query: int):
        yield CellGroup(0, 0, np.zeros((1, 0)), np.zeros((1, 0)), np.zeros(1))


class Empty(OneCell):
    """A group without cells beside the right one."""

    def cells(self, n: int, query: int) -> Iterator[CellGroup]:
        none = np.zeros((0, 0), dtype=np.int64)
        yield CellGroup(n, self.symbols + self.index, none, none, np.zeros(0, dtype=np.int64))


def test_a_task_without_cells_proves_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    model, _, n, good = accepted()
    monkeypatch.setitem(registry._entries, "test-one-cell", Empty)
    for given in (good, {name: array[:0] for name, array in good.items()}):
        assert verdict(model, Empty(4, 1, 3), n, given).exit_code == 1


def test_too_much_work_is_refused_before_it_is_done() -> None:
    count, heads = 2**20, 10
    arrays_of = {"node": np.full(count, CORNERS), "split": np.zeros(0), "tau": np.zeros((count, heads))}
    arrays_of |= {"plus": np.zeros((0, 2, heads)), "minus": np.zeros((0, 2, heads))}
    start = time.perf_counter()
    with pytest.raises(SeparatrixError):
        Trees.of(arrays_of, heads, 2**12)
    assert time.perf_counter() - start < 5.0


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("size", [1e300, 1e155, 1e-310, 5e-324])
def test_huge_and_subnormal_weights_prove_nothing_wrong(size: float) -> None:
    model, task, n, good = accepted()
    rows = np.array(list(np.ndindex(4, 1, 1))) * [1, 0, 0] + [0, 3, 5]
    for name, tensor in model.tensors.items():
        with np.errstate(over="ignore"):
            scaled = tensor.astype(np.float64) * size
        if not np.isfinite(scaled).all():
            continue
        other = Model(model.arch, dict(model.tensors) | {name: scaled})
        if verdict(other, task, n, good).accepted or prove(other, task, n, REAL).verdict == "proved":
            for row in rows:
                for rival in (0, 1, 2):
                    assert arb_margin_is_positive(other, row, n, 3, rival), (name, size)


def test_ties_are_not_right() -> None:
    model, task, n, _ = accepted()
    zero = Model(model.arch, {name: np.zeros_like(tensor) for name, tensor in model.tensors.items()})
    flat = {"node": np.array([ALONE] * 3), "split": np.zeros(0), "tau": np.zeros((3, 3))}
    flat |= {"plus": np.zeros((0, 2, 3)), "minus": np.zeros((0, 2, 3))}
    assert evaluate(zero, np.array([[0, 3, 5]])).any() == 0
    for kind in (ALONE, CORNERS):
        assert not verdict(zero, task, n, flat | {"node": np.array([kind] * 3)}).accepted
    assert prove(zero, task, n, REAL).verdict != "proved"
