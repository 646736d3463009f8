"""Refuters: what they find is a failing input, what they spend is counted, and right models are never refuted."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from models.recurrent_models import random_recurrent
from models.test_recurrent import modular_counter
from separatrix.can.witnesses import index_lookup_quadratic, sparse_averaging_onehot
from separatrix.core.arch import Attention, PointerSet, Readout
from separatrix.core.domain import Labels, Sequence
from separatrix.core.errors import InputError
from separatrix.core.recurrent import DiagonalSsm, Elman, FixedPoint, Gru, Lstm
from separatrix.core.task import Task
from separatrix.kernel import judge
from separatrix.models import Model, evaluate
from separatrix.tasks import make_task
from separatrix.tasks import registry as tasks
from separatrix.verify.refuters import Refutation, random_testing, refute, registry

LABELS = ("collisions", "coordinate", "descent", "gradient", "random")


@dataclasses.dataclass(frozen=True)
class Residue(Task):
    """The number of ones modulo `modulus`, at the last position: what `modular_counter` computes."""

    modulus: int = 3
    name = "test-residue"
    gloss = source = ""

    def domain(self, n: int) -> Sequence:
        return Sequence((np.arange(2),) * n, vocabulary=2)

    def outputs(self) -> Labels:
        return Labels(self.modulus)

    def queries(self, n: int) -> tuple[int, ...]:
        return (n - 1,)

    def answer(self, tokens: np.ndarray, reals: np.ndarray | None = None) -> np.ndarray:
        return tokens.sum(axis=1, keepdims=True) % self.modulus

    def sample(
        self, n: int, size: int, rng: np.random.Generator, distribution: str = "uniform"
    ) -> tuple[np.ndarray, None]:
        return rng.integers(0, 2, (size, n)), None

    def show(self, tokens: np.ndarray, reals: np.ndarray | None = None) -> str:
        return "".join(map(str, tokens))


@pytest.fixture(autouse=True)
def residue(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(tasks._entries, "test-residue", Residue)


def require_true(result: Refutation, model: Model, task: Task, budget: float) -> None:
    """The input is one of the task's, the model errs on it, and the kernel says so."""
    assert result.verdict == "refuted" and result.counterexample and result.certificate, result.sentence
    tokens, query = result.counterexample
    n = result.certificate.claim.n
    assert task.domain(n).contains(tokens)
    logits, label = evaluate(model, tokens[None], queries=[query])[0, 0], task.answer(tokens[None])[0]
    right = int(label[task.queries(n).index(query)])
    assert max(np.delete(logits, right)) >= logits[right]
    assert judge(result.certificate, model.arch, model.tensors).accepted
    assert 0 <= result.evaluations <= budget


@pytest.mark.parametrize("method", LABELS)
@pytest.mark.parametrize("cell", [Elman(4), Lstm(4), Gru(4), DiagonalSsm(3, 4)], ids=lambda c: c.kind)
def test_untrained_models_are_refuted(method: str, cell: Elman | Lstm | Gru | DiagonalSsm) -> None:
    if method == "gradient":
        pytest.importorskip("torch")
    for name, n, seed in [("equality", 8, 0), ("index-lookup", 5, 1), ("dyck", 6, 2)]:
        task = make_task(name, {"symbols": 3} if name != "dyck" else {})
        outputs = task.outputs()
        assert isinstance(outputs, Labels)
        model = random_recurrent((cell,), seed, vocabulary=task.domain(n).vocabulary, outputs=outputs.k)
        distribution = "balanced" if name == "dyck" else "uniform"
        require_true(refute(model, task, n, method, 500, 0, distribution), model, task, 500)


@pytest.mark.parametrize("method", [*registry, "auto"])
def test_a_right_model_is_never_refuted(method: str) -> None:
    if method == "gradient":
        pytest.importorskip("torch")
    exact = modular_counter(3)
    rounded = Model(dataclasses.replace(exact.arch, state=FixedPoint(2, 0)), exact.tensors)
    for model in (exact, rounded):
        result = refute(model, Residue(3), 12, method, 300)
        assert result.verdict == "unknown" and result.certificate is None and result.evaluations <= 300
    lookup = index_lookup_quadratic.build(make_task("index-lookup", {"symbols": 3}), 6)
    assert refute(lookup, make_task("index-lookup", {"symbols": 3}), 6, method, 200).verdict == "unknown"


def test_reachable_states_of_a_right_automaton_are_listed_whole() -> None:
    model = modular_counter(3)
    rounded = Model(dataclasses.replace(model.arch, state=FixedPoint(2, 0)), model.tensors)
    result = refute(rounded, Residue(3), 20, "reachable", 300)
    assert "every reachable state was listed" not in result.sentence  # of 2^20 suffixes only some were tried
    assert refute(rounded, Residue(3), 6, "reachable", 300).evaluations < 2**6  # merged, not enumerated
    off = Model(dataclasses.replace(rounded.arch), dict(model.tensors) | {"readout.bias": np.array([0.0, 0.0, 1.0])})
    require_true(refute(off, Residue(3), 20, "reachable", 300), off, Residue(3), 300)


def test_states_of_a_finite_model_that_are_too_few_collide() -> None:
    """A counter modulo 2 is asked modulo 3: some two prefixes with one state need different answers."""
    small = modular_counter(2)
    t = dict(small.tensors) | {"readout.weight": np.eye(5, 3), "readout.bias": np.zeros(3)}
    model = Model(dataclasses.replace(small.arch, readout=Readout(3), state=FixedPoint(2, 0)), t)
    for method in ("reachable", "collisions"):
        require_true(refute(model, Residue(3), 10, method, 500), model, Residue(3), 500)


def test_thirty_two_bits_collide_exactly_among_fewer_than_100_000_prefixes() -> None:
    """Birthday: 8 numbers of 4 bits; the two prefixes get equal states, bit for bit."""
    from separatrix.verify.refuters.collisions import Prefixes
    from separatrix.verify.refuters.search import Found, Search

    task, n = make_task("index-lookup", {"symbols": 2}), 40
    model = random_recurrent((DiagonalSsm(4, 6),), 0, vocabulary=42, outputs=2, grid=FixedPoint(4, 1))
    turn = np.array([0.4, 1.1, 1.9, 2.8])
    slow = {"layers.0.diagonal": 0.97 * np.stack([np.cos(turn), np.sin(turn)]), "layers.0.bias": np.zeros(8)}
    wide = Model(model.arch, dict(model.tensors) | slow | {"layers.0.in": 1.5 * model.tensors["layers.0.in"]})
    assert wide.arch.state_bits == 32  # pyright: ignore
    search = Search(wide, task, n, 1e9, np.random.default_rng(0))
    table, size = Prefixes(search, n), 1024
    while True:
        assert table.grow(size) and len(table.words) < 100_000
        states, count = np.unique(table.states, axis=0, return_counts=True)
        if count.max() > 1:
            break
        size *= 2
    assert len(np.unique(table.words[:, :n], axis=0)) == len(table.words)  # prefixes differ, states do not
    assert len(states) > 1000  # and the model does use its state
    same = np.flatnonzero((table.states == states[count.argmax()]).all(axis=1))[:2]
    left, right = table.words[same, :n]
    index = int(np.flatnonzero(left != right)[0])
    words = np.stack([np.append(left, 2 + index), np.append(right, 2 + index)])
    with pytest.raises(Found):
        search.margins(words)


def test_a_single_head_is_refuted_by_the_minimiser_of_a_cell() -> None:
    task = make_task("index-lookup", {"symbols": 3})
    good = index_lookup_quadratic.build(task, 6)
    weak = Model(good.arch, dict(good.tensors) | {"layers.0.query": good.tensors["layers.0.query"] * 0.125})
    result = refute(weak, task, 6, "separable", 100)
    require_true(result, weak, task, 100)
    assert result.evaluations <= random_testing(weak, task, 6, 100_000)[0]


def test_pointer_sets_with_equal_codes_are_told_apart_by_no_model() -> None:
    """The sum of too few numbers: keys of width 1, so that {0, 3} and {1, 2} are one query."""
    task, n = make_task("sparse-averaging", {"q": 2}), 6
    good = sparse_averaging_onehot.build(task, n)
    assert refute(good, task, n, "auto", 500).verdict == "unknown"
    layer = Attention(1, 1, 1)
    arch = dataclasses.replace(
        good.arch,
        width=3,
        first=PointerSet(2, n, 1, 1, "sum"),
        layers=(layer,),
        readout=Readout(1, "reals"),
        residual=(),
    )
    t = {
        "embed.keys": np.arange(float(n))[:, None],
        "embed.temperature": np.array(1.0),
        "layers.0.query": np.array([[[0.0], [0.0], [1.0]]]),
        "layers.0.key": np.array([[[0.0], [1.0], [0.0]]]),
        "layers.0.value": np.array([[[1.0], [0.0], [0.0]]]),
        "layers.0.output": np.array([[[1.0, 0.0, 0.0]]]),
        "readout.weight": np.array([[1.0], [0.0], [0.0]]),
        "readout.bias": np.zeros(1),
    }
    result = refute(Model(arch, t), task, n, "pointer-codes", 100)
    assert result.verdict == "refuted" and str(result.guarantee) == "proved" and result.evaluations <= 2
    assert result.certificate and judge(result.certificate, arch, t).accepted


def test_random_testing_counts_up_to_the_first_failing_input() -> None:
    """The constant answer 0 fails on the first input with another label: the counts are those of the stream."""
    task = Residue(2)
    model = modular_counter(2)
    constant = Model(model.arch, dict(model.tensors) | {"readout.bias": np.array([10.0, 0.0])})
    counts = [random_testing(constant, task, 4, 100, seed)[0] for seed in range(200)]
    assert np.mean(counts) == pytest.approx(2, abs=0.4) and min(counts) == 1
    assert random_testing(model, task, 4, 50) == (50, False)


def test_what_does_not_fit_is_refused() -> None:
    task, model = make_task("equality", {}), random_recurrent((Elman(3),), 0, vocabulary=2, outputs=3)
    with pytest.raises(InputError, match="2 labels"):
        refute(model, task, 4)
    with pytest.raises(InputError, match="knows 2 tokens"):
        refute(model, make_task("equality", {"symbols": 3}), 4)
    fitting = random_recurrent((Elman(3),), 0, vocabulary=2, outputs=2)
    with pytest.raises(InputError, match="budget"):
        refute(fitting, task, 4, budget=0)
    with pytest.raises(InputError, match="did you mean"):
        refute(fitting, task, 4, "collision")
    short = random_recurrent((Elman(3),), 0, vocabulary=2, outputs=2, positions=3)
    with pytest.raises(InputError, match="3 positions"):
        refute(short, task, 4)


def test_the_same_seed_gives_the_same_search() -> None:
    task, model = make_task("equality", {}), random_recurrent((Gru(3),), 4, vocabulary=2, outputs=2)
    one, two = (refute(model, task, 12, "collisions", 500, seed=3) for _ in range(2))
    assert one.evaluations == two.evaluations and one.counterexample and two.counterexample
    assert np.array_equal(one.counterexample[0], two.counterexample[0])
