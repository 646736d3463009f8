"""Kernel kind `pointer-sets`: enclosures hold, methods agree with 300-bit arithmetic, structure is checked."""

import dataclasses

import numpy as np
import pytest
from flint import arb

from kernel.pointer_oracle import exact, keys_of, query_of, worst_error
from separatrix.can import registry
from separatrix.core.arch import Attention, PointerSet
from separatrix.core.certificate import Certificate, Claim
from separatrix.core.errors import RejectedError, UnknownError
from separatrix.core.guarantee import PROVED
from separatrix.core.semantics import REAL
from separatrix.kernel import judge
from separatrix.kernel.balls import Ball
from separatrix.kernel.case import Case
from separatrix.kernel.pointer_map import least_norm, queries, unit_circle
from separatrix.kernel.pointer_model import PointerModel
from separatrix.models import Model
from separatrix.tasks.sparse_averaging import SparseAveraging

SMALL = [  # witness, N, q, dim, methods that must accept
    ("onehot", 6, 2, 2, ("babel", "exhaustive")),
    ("onehot", 5, 5, 1, ("babel", "exhaustive")),
    ("random", 8, 2, 1, ("exhaustive",)),
    ("random", 7, 3, 2, ("exhaustive",)),
    ("trigonometric", 8, 2, 1, ("exhaustive",)),
    ("trigonometric", 7, 3, 3, ("exhaustive",)),
    ("moment", 8, 2, 1, ("moment",)),
    ("moment", 7, 3, 2, ("moment",)),
    ("circle", 8, 2, 2, ("slots", "exhaustive")),
    ("circle", 6, 3, 1, ("slots", "exhaustive")),
]


def build(name: str, n: int, q: int, dim: int, eps: float = 0.01) -> tuple[SparseAveraging, Model]:
    task = SparseAveraging(q=q, dim=dim, eps=eps)
    return task, registry.get(f"sparse-averaging-{name}").build(task, n)


def ask(task: SparseAveraging, model: Model, n: int, method: str, semantics: str = "real"):
    claim = Claim(task.name, task.parameters(), n, "correct", semantics)
    evidence = {"method": method}
    certificate = Certificate("pointer-sets", claim, PROVED, task.source_sha256(), evidence, {}, model.reference())
    return judge(certificate, model.arch, model.tensors)


def case_of(task: SparseAveraging, model: Model, n: int) -> Case:
    claim = Claim(task.name, task.parameters(), n, "correct", "real")
    return Case(task, n, claim, REAL, {}, {}, model.arch, model.tensors)


def changed(model: Model, **tensors: np.ndarray) -> Model:
    return Model(model.arch, {**model.tensors, **{name.replace("__", "."): t for name, t in tensors.items()}})


def encloses(ball: Ball, values: list[arb]) -> bool:
    pairs = zip(ball.mid.reshape(-1), ball.rad.reshape(-1), values, strict=True)
    return all(abs(exact(mid) - value) <= exact(rad) for mid, rad, value in pairs)


@pytest.mark.parametrize("n", [1, 2, 3, 4, 7, 12, 97, 360])
def test_the_circle_is_enclosed(n):
    cosine, sine = unit_circle(n)
    angles = [2 * arb.pi() * j / n for j in range(n)]
    # 1e-60 for the oracle's own radius where the value is 0
    slack = 1e-60
    assert encloses(Ball(cosine.mid, cosine.rad + slack), [a.cos() for a in angles])
    assert encloses(Ball(sine.mid, sine.rad + slack), [a.sin() for a in angles])
    assert cosine.rad.max() < 1.2e-16


@pytest.mark.parametrize(("name", "n", "q", "dim", "_methods"), [row for row in SMALL if row[0] != "moment"])
def test_queries_are_enclosed(name, n, q, dim, _methods):
    _, model = build(name, n, q, dim)
    rng = np.random.default_rng(n)
    sets = np.sort(rng.random((6, n)).argsort(axis=1)[:, :q], axis=1)
    ball, keys = queries(model.arch.first, model.tensors, sets), keys_of(model)
    for i, y in enumerate(sets):
        slack = 1e-60
        assert encloses(Ball(ball.mid[i], ball.rad[i] + slack), query_of(model, keys, tuple(map(int, y))))
    assert ball.rad.max() < 1e-12


def test_dependent_keys_have_no_least_norm_query():
    for rows in (np.ones((1, 2, 3)), np.array([[[1.0, 0], [2, 0]]]), np.zeros((1, 1, 2)), np.ones((1, 3, 2))):
        with pytest.raises(RejectedError):
            least_norm(Ball.exact(rows))
    nearly = np.array([[[1.0, 0], [1, 1e-9]]])
    with pytest.raises(RejectedError):
        least_norm(Ball.exact(nearly))


@pytest.mark.parametrize(("name", "n", "q", "dim", "_methods"), [row for row in SMALL if row[0] != "moment"])
def test_worst_errors_are_enclosed_tightly(name, n, q, dim, _methods):
    task, model = build(name, n, q, dim)
    parts = PointerModel.of(case_of(task, model, n))
    sets = np.array([y.token for y in task.cells(n, 0)])
    low, high = (bound.max() for bound in parts.errors(sets))
    truth = worst_error(model, task)
    assert exact(low) <= truth <= exact(high)
    assert high - low < 1e-9


@pytest.mark.parametrize(("name", "n", "q", "dim", "methods"), SMALL)
def test_witnesses_are_accepted_and_no_other_method_applies(name, n, q, dim, methods):
    task, model = build(name, n, q, dim)
    assert worst_error(model, task) < task.eps
    for method in ("exhaustive", "babel", "moment", "slots"):
        verdict = ask(task, model, n, method)
        if method in methods:
            assert verdict.accepted, verdict.sentence
            assert "for every pointer set" in verdict.sentence
        elif (name, method) != ("random", "babel"):
            assert not verdict.accepted and verdict.exit_code == 3
    assert not ask(task, model, n, "guess").accepted
    assert not ask(task, model, n, methods[0], "fp32").accepted


@pytest.mark.parametrize(("name", "n", "q", "dim", "methods"), SMALL)
def test_eps_is_the_limit(name, n, q, dim, methods):
    """The same model is not accepted for an eps below its true worst error."""
    task, model = build(name, n, q, dim)
    worst = float(worst_error(model, task).mid())
    for factor in (0.5, 0.999999):
        if worst > 1e-9:
            strict = dataclasses.replace(task, eps=worst * factor)
            assert not any(ask(strict, model, n, method).accepted for method in methods)
    if "exhaustive" in methods and worst > 1e-9:
        assert ask(dataclasses.replace(task, eps=worst * 1.000001), model, n, "exhaustive").accepted


def test_a_claim_about_another_task_or_length_is_rejected():
    task, model = build("onehot", 6, 2, 2)
    for other, n in ((task, 7), (SparseAveraging(q=3, dim=2), 6), (SparseAveraging(q=2, dim=1), 6)):
        assert not ask(other, model, n, "babel").accepted


def test_structure_that_the_bound_needs_is_checked():
    """Leaks of z, of keys and of queries, a bias, a residual path, a mask, a blank: nothing is said about those."""
    task, model = build("onehot", 6, 2, 2)
    for name, index in (
        ("layers.0.query", (0, 0, 0)),
        ("layers.0.query", (0, 3, 0)),
        ("layers.0.key", (0, 1, 0)),
        ("layers.0.key", (0, -1, 0)),
        ("layers.0.value", (0, 4, 1)),
        ("layers.0.value", (0, -1, 0)),
        ("readout.bias", (1,)),
    ):
        tensor = np.array(model.tensors[name])
        tensor[index] = 2.0**-30
        damaged = changed(model, **{name.replace(".", "__"): tensor})
        with pytest.raises(UnknownError):
            PointerModel.of(case_of(task, damaged, 6))
    layer = model.arch.layers[0]
    assert isinstance(layer, Attention)
    for change in ({"residual": True}, {"mask": "causal"}):
        arch = dataclasses.replace(model.arch, layers=(dataclasses.replace(layer, **change),))
        assert not ask(task, Model(arch, model.tensors), 6, "babel").accepted
    arch = dataclasses.replace(model.arch, blank=True)
    assert not ask(task, Model(arch, {**model.tensors, "embed.blank": np.zeros(arch.width)}), 6, "babel").accepted


def test_coordinates_may_not_be_mixed_or_scaled():
    task, model = build("onehot", 6, 2, 2)
    value = np.array(model.tensors["layers.0.value"])
    swapped = value.copy()
    swapped[0, :2] = value[0, 1::-1]
    for worse in (swapped, value * 1.02, -value, value * np.array([1.0, 1.02])):
        for method in ("babel", "exhaustive"):
            assert not ask(task, changed(model, layers__0__value=worse), 6, method).accepted
    slightly = value * np.array([1.0, 1 + 2.0**-20])  # a leak of 1e-6 is paid for
    assert ask(task, changed(model, layers__0__value=slightly), 6, "babel").accepted


def test_babel_needs_its_own_diagonal():
    """Keys of norm 1 - 2^-10 pass, since |u|^2 is measured; a short key among others does not."""
    task, model = build("onehot", 6, 2, 1)
    keys = model.tensors["embed.keys"]
    hot = changed(model, embed__keys=keys * np.float32(0.5))  # w doubles: scores stay 1 on the set
    assert worst_error(hot, task) < task.eps and ask(task, hot, 6, "babel").accepted
    odd = np.array(keys)
    odd[0] = (odd[0] + odd[1]) * np.float32(0.5)
    broken = changed(model, embed__keys=odd)
    assert worst_error(broken, task) > task.eps and not ask(task, broken, 6, "babel").accepted


def test_keys_near_the_end_of_float64_are_never_accepted():
    """Overflow gives infinities and NaN on the way; neither may get past a comparison."""
    for name, n, q, methods in (("onehot", 6, 2, ("babel", "exhaustive")), ("circle", 6, 2, ("slots", "exhaustive"))):
        task, model = build(name, n, q, 1)
        keys = model.tensors["embed.keys"].astype(np.float64)
        mixed = keys + 0.5 * np.roll(keys, 1, axis=0)  # far from orthogonal
        if name == "onehot":
            assert worst_error(changed(model, embed__keys=mixed), task) > task.eps  # whatever the scale
        for scale in (1e160, 1e300, -1e300):
            wild = changed(model, embed__keys=mixed * scale)
            with np.errstate(all="ignore"):
                assert not any(ask(task, wild, n, method).accepted for method in methods)
        hot = changed(model, embed__temperature=np.float64(1e308))
        with np.errstate(all="ignore"):
            for method in methods:
                assert not ask(task, changed(hot, embed__keys=mixed), n, method).accepted


def test_nodes_must_be_distinct_integers():
    task, model = build("moment", 6, 2, 1)
    nodes = np.array(model.tensors["embed.nodes"])
    for worse in (np.where(nodes == 2, 1, nodes), nodes + 0.5, nodes * 0):
        assert not ask(task, changed(model, embed__nodes=worse), 6, "moment").accepted
    for fine in (nodes * 7 - 30, nodes[::-1].copy(), nodes.astype(np.float64) * 2**40):
        assert ask(task, changed(model, embed__nodes=fine), 6, "moment").accepted
    task, model = build("moment", 20, 4, 1)
    cool = changed(model, embed__temperature=model.tensors["embed.temperature"] / 15)  # margins are 16 and more
    assert "16 or more" in ask(task, cool, 20, "moment").sentence


def test_every_slot_needs_a_head():
    task, model = build("circle", 6, 3, 1)
    query = np.array(model.tensors["layers.0.query"])
    query[0] = query[1]
    assert not ask(task, changed(model, layers__0__query=query), 6, "slots").accepted
    assert not ask(task, changed(model, layers__0__query=query), 6, "exhaustive").accepted
    assert isinstance(model.arch.first, PointerSet)
