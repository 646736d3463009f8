"""The relu kind: no multipliers give a bound above the truth; the wrong form, or what is not decided, is refused."""

from __future__ import annotations

import dataclasses
from collections import Counter

import numpy as np
import pytest

from kernel.relu_cases import Instance, anyhow, cases, inputs_of, values
from separatrix.core.arch import Attention, FeedForward, LayerNorm, Readout
from separatrix.core.certificate import Certificate, Claim
from separatrix.core.domain import Constraint
from separatrix.core.errors import SeparatrixError
from separatrix.core.guarantee import PROVED
from separatrix.core.semantics import REAL
from separatrix.kernel import judge
from separatrix.kernel.least import Words
from separatrix.kernel.relu import groups, read_model, root_box, split_box
from separatrix.kernel.relu_bounds import Leaves, leaves_low, within
from separatrix.kernel.relu_ranges import Ranges
from separatrix.kernel.relu_tables import Scene, words_of
from separatrix.models.model import Model
from separatrix.tasks.index_lookup import IndexLookup
from separatrix.verify.provers.relu import prove


def scenes(made: Instance):
    """The groups of a case with their tables."""
    net = read_model(made.task, made.n, made.model.arch, made.model.tensors)
    for group in groups(made.task, made.n):
        with np.errstate(all="ignore"):
            yield group, Scene.of(net, group, made.task.domain(made.n))


def guess(scene: Scene, rng: np.random.Generator) -> np.ndarray:
    return rng.normal(size=(len(scene.labels), 2, len(scene.net.ranged), scene.net.heads))


def test_least_sums_are_least() -> None:
    rng, kinds = np.random.default_rng(0), Counter()
    for made in cases(range(40)):
        for group, scene in scenes(made):
            words = words_of(group, made.task.domain(made.n), 100, len(scene.net.slot.mid))
            for cell in range(len(group)):
                columns = inputs_of(scene, group, made.task, made.n, cell)
                terms = rng.normal(size=words.allowed.shape) * 10.0 ** rng.integers(-3, 4)
                least = terms[np.arange(columns.shape[1]), columns].sum(axis=1).min()
                found = words.low(terms[None], np.array([cell]))[0]
                assert found <= least and found == pytest.approx(least, rel=1e-9, abs=1e-9)
                only, _ = parts_of(scene, cell, rng)
                inside = only[0][np.arange(columns.shape[1]), columns].all(axis=1)
                part = words.low(terms[None], np.array([cell]), words.parts(only))[0]
                sums = terms[np.arange(columns.shape[1]), columns].sum(axis=1)
                if inside.any():  # of none, +inf or anything: of distinct words, not all empty parts are seen
                    assert part <= sums[inside].min() and part == pytest.approx(sums[inside].min(), rel=1e-9, abs=1e-9)
                terms[0, words.only(np.array([cell]))[0, 0]] = rng.choice([np.nan, -np.inf, np.inf])
                assert not words.low(terms[None], np.array([cell]))[0] > -np.inf
                kinds[group.constraint.kind] += 1
    assert min(kinds[kind] for kind in ("product", "count", "distinct", "regular")) >= 10, kinds


def test_a_way_through_an_automaton_whose_sum_overflows_is_still_a_way() -> None:
    """The word 1 1 0 0 0 costs more than a float holds half-way, and in the end less than the only other one."""
    table = ((3, 1, 2), (1, 1, 3), (3, 3, 2), (3, 3, 3))
    tie = Constraint("regular", transitions=table, accepting=(1, 2))
    none, huge = np.zeros((1, 0), dtype=np.int64), 1.5e308
    allowed = np.array([[False, True, True]] * 2 + [[True, False, True]] * 3)
    words = Words(tie, np.arange(3), allowed, none, none, np.arange(5))
    terms = np.array([[[0.0, huge, 0.0]] * 2 + [[-huge, 0.0, 0.0]] * 3])
    with np.errstate(all="ignore"):
        assert words.low(terms, np.zeros(1, dtype=np.int64))[0] <= -huge


def test_ranges_hold_for_any_guess() -> None:
    rng, seen = np.random.default_rng(1), 0
    for made in cases(range(72)):
        for group, scene in scenes(made):
            with np.errstate(all="ignore"):
                ranges = Ranges.of(scene, guess(scene, rng))
            for cell in range(len(group)):
                _, features, s, outer, d = values(scene, group, made, cell)
                hair = 1e-9 * (1 + np.abs(features).max(initial=0.0))
                for found, (low, high) in (
                    (features[:, scene.net.ranged], ranges.features),
                    (s, ranges.s),
                    (outer, ranges.outer),
                    (d, ranges.heads),
                ):
                    assert (found >= low[cell] - hair).all() and (found <= high[cell] + hair).all(), made.family
                seen += 1
    assert seen >= 200


def test_no_multipliers_bound_above_the_truth() -> None:
    """Random slopes, taus, boxes and multipliers of boxes: the bound is below the least value in the box."""
    rng, seen, tight, cut = np.random.default_rng(2), 0, 0, 0
    for made in cases(range(96)):
        for group, scene in scenes(made):
            net = scene.net
            with np.errstate(all="ignore"):
                ranges = Ranges.of(scene, guess(scene, rng))
            low, high = root_box(scene, ranges)
            for _ in range(6):
                cell = int(rng.integers(len(group)))
                rival = int(rng.choice(np.delete(np.arange(net.answers), scene.labels[cell])))
                value, features, s, _, d = values(scene, group, made, cell, rival)
                pre = features[:, : net.hidden] + net.shift.mid + net.slope.mid * s[:, None]
                variables = np.concatenate([pre, d, s[:, None]], axis=1)[:, : low.shape[1]]
                a, b, inside = low[cell].copy(), high[cell].copy(), np.ones(len(value), dtype=bool)
                for v in rng.permutation(len(a))[: int(rng.integers(0, 4))]:  # cut where some input lies
                    at = float(rng.choice([0.0, rng.choice(variables[:, v])]))
                    if a[v] < at < b[v]:
                        side = bool(rng.integers(2))
                        (a if side else b)[v] = at
                        inside &= variables[:, v] >= at - 1e-12 if side else variables[:, v] <= at + 1e-12
                only, part = parts_of(scene, cell, rng)
                columns = inputs_of(scene, group, made.task, made.n, cell)
                inside &= only[0][np.arange(columns.shape[1]), columns].all(axis=1)
                box = split_box(net, a[None], b[None], part, scene.words.parts(only))
                with np.errstate(all="ignore"):
                    p = within(scene, ranges.at(np.array([cell])), box).units
                beta = net.beta.mid[:, scene.labels[cell]] - net.beta.mid[:, rival]
                slope = np.where(p[0][0] >= 0, beta, np.where(p[1][0] <= 0, 0.0, beta * rng.random(net.hidden)))
                slope = slope + rng.normal(size=net.hidden) * rng.choice([0.0, 0.1, 3.0])
                shape = (1, 2, net.heads)
                plus, minus = rng.random((2, *shape)) * (rng.random((2, *shape)) < 0.3)
                tau = rng.normal(size=(1, net.heads if net.heads > 1 else 0))
                alone = np.array([bool(rng.integers(2))])
                leaf = Leaves(
                    np.array([cell]), np.array([rival]), alone, box, slope[None], tau, plus, minus, np.zeros(1)
                )
                with np.errstate(all="ignore"):
                    found = float(leaves_low(scene, ranges, leaf)[0])
                least = value[inside].min(initial=np.inf)
                assert found <= least + 1e-9 * (1 + np.abs(value).max()), (made.family, found, least)
                seen += bool(inside.any())
                cut += bool(inside.any()) and part[0] == 0
                tight += bool(inside.any()) and found > least - 0.5 * np.abs(value).max()
    assert seen >= 800 and tight >= 100 and cut >= 300, (seen, tight, cut)


def parts_of(scene: Scene, cell: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """What slots may hold (1, J, S) after some random cuts, and the row of it, -1 where nothing was cut."""
    only, cuts = scene.words.only(np.array([cell])), 0
    for slot in rng.permutation(only.shape[1])[: int(rng.integers(0, 4))]:
        keep = only[0, slot] & (rng.random(only.shape[2]) < 0.6)
        if keep.any() and not keep[only[0, slot]].all():
            only[0, slot], cuts = keep, cuts + 1
    return only, np.array([0 if cuts else -1])


def test_ranges_of_parts_hold_and_shrink() -> None:
    """Of cells whose slots hold less, for any guess: every input left lies in them, and empty parts are seen."""
    rng, seen, narrower, empty = np.random.default_rng(5), 0, 0, 0
    for made in cases(range(72)):
        for group, scene in scenes(made):
            with np.errstate(all="ignore"):
                ranges = Ranges.of(scene, guess(scene, rng) * 0.1)
            for _ in range(3):
                cell = int(rng.integers(len(group)))
                only, part = parts_of(scene, cell, rng)
                columns = inputs_of(scene, group, made.task, made.n, cell)
                inside = only[0][np.arange(columns.shape[1]), columns].all(axis=1)
                whole, wanted = ranges.at(np.array([cell])), np.ones((1, len(scene.net.ranged)), dtype=bool)
                free = np.zeros((1, scene.net.heads)), np.full((1, scene.net.heads), np.inf)
                kept = scene.words.parts(only)
                assert (kept[0][np.arange(columns.shape[1]), columns].all(axis=1) == inside).all()
                with np.errstate(all="ignore"):
                    here = whole.narrowed(scene, np.array([cell]), kept, free, wanted)
                _, features, s, outer, d = values(scene, group, made, cell)
                hair = 1e-9 * (1 + np.abs(features).max(initial=0.0))
                for found, (low, high) in (
                    (features[:, scene.net.ranged], here.features),
                    (s, here.s),
                    (outer, here.outer),
                    (d, here.heads),
                ):
                    assert (found[inside] >= low[0] - hair).all() and (found[inside] <= high[0] + hair).all()
                seen += part[0] == 0 and bool(inside.any())
                empty += not inside.any()
                if part[0] == 0 and len(scene.net.ranged):
                    width, before = (np.subtract(*r.features[::-1]).sum() for r in (here, whole))
                    narrower += bool(width < 0.9 * before)
    assert seen >= 100 and narrower >= 60 and empty >= 3, (seen, narrower, empty)


# ------------------------------------------------------------------------------------------------ what is refused


def accepted() -> tuple[Model, IndexLookup, int, dict[str, np.ndarray]]:
    """A model of two heads with cuts in its certificate, proved."""
    for seed in range(300):
        made = anyhow(seed, 2, "none")
        if isinstance(made.task, IndexLookup):
            outcome = prove(made.model, made.task, made.n, REAL)
            if outcome.certificate is not None and outcome.verdict == "proved":
                return made.model, made.task, made.n, dict(outcome.certificate.arrays)
    raise AssertionError("no case is proved")


def verdict(model: Model, task: IndexLookup, n: int, arrays: dict[str, np.ndarray], semantics: str = "real"):
    claim = Claim(task.name, task.parameters(), n, "correct", semantics)
    made = Certificate("relu", claim, PROVED, task.source_sha256(), {}, arrays, model.reference())
    return judge(made, model.arch, model.tensors)


def test_arrays_of_another_form_are_refused() -> None:
    model, task, n, good = accepted()
    assert verdict(model, task, n, good).accepted
    for name, array in good.items():
        assert not verdict(model, task, n, {k: v for k, v in good.items() if k != name}).accepted
        if array.size:
            broken = array.astype(np.float64)
            broken.reshape(-1)[0] = np.nan
            assert not verdict(model, task, n, good | {name: broken}).accepted
            assert not verdict(model, task, n, good | {name: array[:-1]}).accepted
        assert not verdict(model, task, n, good | {name: np.concatenate([array, array, array[:1]])}).accepted or (
            not len(array)
        )
        assert not verdict(model, task, n, good | {name: array.astype(np.int32)}).accepted
    assert not verdict(model, task, n, good | {"more": np.zeros(1)}).accepted
    assert not verdict(model, task, n, good, "float:3").accepted
    for big in (1e305, 1e200):
        assert not verdict(model, task, n, good | {"tau": np.full(good["tau"].shape, big)}).accepted
    for kind in (99, -4):
        assert not verdict(model, task, n, good | {"node": np.where(good["node"] < 0, kind, good["node"])}).accepted


def test_unsuited_models_and_cells_are_refused() -> None:
    made = anyhow(1, 2, "all")
    arch = made.model.arch
    one = arch.layers[0]
    assert isinstance(one, Attention)
    for layers in (
        (dataclasses.replace(one, mask="causal"), *arch.layers[1:]),
        (one, one),
        (FeedForward(3), one),
        (LayerNorm(), one),
        (one, LayerNorm(), FeedForward(3)),
        (dataclasses.replace(one, heads=11),),
    ):
        with pytest.raises(SeparatrixError):
            read_model(made.task, made.n, dataclasses.replace(arch, layers=layers), made.model.tensors)
    reals = dataclasses.replace(arch, readout=Readout(arch.readout.outputs, "reals"))
    with pytest.raises(SeparatrixError):
        read_model(made.task, made.n, reals, made.model.tensors)
    model, task, n, _ = accepted()
    net, first = read_model(task, n, model.arch, model.tensors), next(iter(groups(task, n)))
    none = np.zeros((1, 1), dtype=np.int64)
    for changes in (
        {"labels": None},
        {"labels": np.array([9])},
        {"labels": np.array([-1])},
        {"token": 60},
        {"token": -1},
        {"token": (0,)},
        {"positions": none + n, "symbols": none},
        {"positions": none - 1, "symbols": none},
        {"positions": none + n + 1, "symbols": none},
        {"positions": np.zeros((1, 2), dtype=np.int64), "symbols": np.zeros((1, 2), dtype=np.int64)},
        {"positions": none, "symbols": none + 60},
        {"background": (np.zeros(0, dtype=np.int64),) * (n + 1)},
        {"background": (np.array([0]),) * n},
    ):
        with pytest.raises(SeparatrixError):
            Scene.of(net, dataclasses.replace(first, **changes), task.domain(n))  # pyright: ignore[reportArgumentType]


def test_ties_are_not_right() -> None:
    model, task, n, good = accepted()
    zero = Model(model.arch, {name: np.zeros_like(tensor) for name, tensor in model.tensors.items()})
    nothing = {name: array if array.dtype == np.int64 else np.zeros_like(array) for name, array in good.items()}
    for arrays in (good, nothing):
        assert not verdict(zero, task, n, arrays).accepted
    assert prove(zero, task, n, REAL).verdict != "proved"


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("size", [1e300, 1e155, 1e-310, 5e-324])
def test_huge_and_subnormal_weights_prove_nothing_wrong(size: float) -> None:
    from kernel.relu_cases import truth

    model, task, n, good = accepted()
    for name, tensor in model.tensors.items():
        with np.errstate(over="ignore"):
            scaled = tensor * size
        if not np.isfinite(scaled).all():
            continue
        other = Model(model.arch, dict(model.tensors) | {name: scaled})
        if verdict(other, task, n, good).accepted or prove(other, task, n, REAL).verdict == "proved":
            for group in groups(task, n):
                assert (truth(other, task, n, group)[0] > -1e-9).all(), (name, size)
