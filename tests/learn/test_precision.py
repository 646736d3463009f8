"""Mixed precision and compilation: runs of their own, as right as float32 ones, and nothing else changes."""

from __future__ import annotations

import csv
import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from separatrix.core.arch import Arch, Attention, FeedForward, HigherOrder, Readout, Strassen, Table
from separatrix.core.config import AnyArch
from separatrix.core.errors import InputError
from separatrix.core.kernelised import Kernelised
from separatrix.core.mixers import DeltaNet, Dense, LinearAttention, Retention, Rwkv, SelectiveSsm
from separatrix.core.positional import Positional, PositionalLayer
from separatrix.core.recurrent import DiagonalSsm, Elman, Gru, Lstm, Recurrent
from separatrix.learn import passes
from separatrix.learn.cohort import Cohort, Member, Trained
from separatrix.learn.experiments import registry
from separatrix.learn.export import write_table
from separatrix.learn.recipe import Recipe
from separatrix.learn.run import Run
from separatrix.learn.standard import one_layer
from separatrix.learn.store import Store
from separatrix.learn.sweep import sweep
from separatrix.models.model import Model
from separatrix.tasks.index_lookup import IndexLookup
from separatrix.tasks.prefix_sums import PrefixSums

TASK, N = IndexLookup(4), 6
MEMBERS = [Member(seed, 1e-2) for seed in range(3)]
MIXED = Recipe(40, batch=16, check_every=20, validation=64, precision="bf16")
CAUSAL = Attention(2, 4, 4, mask="causal", residual=True)


def cells(*layers) -> Recurrent:
    return Recurrent(8, Table(4 + N), layers, Readout(4))


ARCHS: dict[str, AnyArch] = {
    "transformer": Arch(
        8, Table(4 + N, N + 1), (CAUSAL, FeedForward(9, residual=True), Attention(1, 4, 4)), Readout(4)
    ),
    "pairs": Arch(8, Table(4 + N, N + 1), (HigherOrder(2, 3, 4, residual=True), Strassen(1, 3, 4)), Readout(4)),
    "kernelised": Arch(8, Table(4 + N, N + 1), (Kernelised(2, 3, 4, N + 1), FeedForward(9, residual=True)), Readout(4)),
    "gated": cells(Elman(8), Lstm(6), Gru(4)),
    "diagonal": cells(DiagonalSsm(4, 8)),
    "sums": cells(LinearAttention(2, 4, 4, 8), Dense(9, 8, residual=True), Retention(2, 4, 4, 8, norm="rms")),
    "delta": cells(DeltaNet(2, 4, 4, 8, negative=True, norm="rms", residual=True)),
    "selective": cells(SelectiveSsm(8, 4, 2, 8, 2, norm="rms"), Rwkv(8, 8, 8, residual=True)),
}


def losses(cohort: Cohort) -> tuple[torch.Tensor, torch.Tensor]:
    return cohort.graded(cohort._losses, cohort.weights, *cohort._placed(cohort._batches()))


def difference(a: Trained, b: Trained) -> float:
    return max(float(np.abs(a.model.tensors[k] - b.model.tensors[k]).max()) for k in a.model.tensors)


def test_runs_of_stores_keep_their_keys() -> None:
    """Written down before there was a precision."""
    known = {
        "index-lookup": ("quick", "828b291711f9392e46d1eb12bbad18c2a5f2d0d5d7c20ab22c86630aedb66ab2"),
        "positional-sum": ("quick", "156830de57482958fc9b9d9996385906084bded30de22f810982a3ee9365b583"),
        "k-hop": ("middle", "ab72484cb50bf526088795abde5a8e9d4ac417eedf4b096180f9d1d7b5cd354e"),
    }
    for name, (size, key) in known.items():
        experiment = registry.get(name)
        run = experiment.runs(experiment.size(size))[0]
        assert run.key == run.at("fp32").key == key and run.at("fp32").label == run.label


def test_a_mixed_run_is_another_run_and_says_so(tmp_path: Path) -> None:
    arch, recipe = one_layer(TASK, N, 4), Recipe(10, batch=4, check_every=10, validation=8)
    plain = Run.of("model", TASK, N, arch, recipe, MEMBERS[0])
    mixed = plain.at("bf16")
    assert mixed.label == "model, bf16" and len({plain.key, mixed.key}) == len({plain.cohort, mixed.cohort}) == 2
    assert Run.from_json(mixed.label, mixed.text) == mixed and mixed.at("bf16") == mixed
    store = Store(tmp_path)
    sweep("x", [plain, mixed], lambda run, model: {}, store)
    first, second = store.finished()
    assert (first.run, second.run) == (plain, mixed)
    assert not np.array_equal(store.curve(plain.key), store.curve(mixed.key))
    write_table(tmp_path / "x.csv", [first, second])
    told = list(csv.DictReader((tmp_path / "x.csv").read_text().splitlines()))
    assert [row["precision"] for row in told] == ["fp32", "bf16"] and told[1]["label"] == "model, bf16"


@pytest.mark.parametrize("name", ARCHS)
def test_losses_and_gradients_are_those_of_float32_but_for_rounding(name: str) -> None:
    found = {}
    for precision in ("fp32", "bf16"):
        recipe = Recipe(40, batch=16, check_every=20, validation=64, precision=precision)
        found[precision] = losses(Cohort(TASK, N, ARCHS[name], MEMBERS, recipe))
    (exact, slope), (rounded, other) = found["fp32"], found["bf16"]
    assert rounded.dtype == other.dtype == torch.float32
    assert 0.0 < float((rounded - exact).detach().abs().max()) < 2e-2
    assert float((other * slope).sum() / (other.norm() * slope.norm())) > 0.97  # retention divides by what may be small


@pytest.mark.parametrize("name", ARCHS)
def test_an_ensemble_is_separate_trainings_but_for_rounding(name: str) -> None:
    together = Cohort(TASK, N, ARCHS[name], MEMBERS, MIXED).train()
    for member, mine in zip(MEMBERS, together, strict=True):
        (alone,) = Cohort(TASK, N, ARCHS[name], [member], MIXED).train()
        assert np.abs(mine.curve[:, 1] - alone.curve[:, 1]).max() < 3e-2
        assert mine.model.tensors["readout.weight"].dtype == np.float32


def test_resumed_bit_for_bit() -> None:
    states: list[bytes] = []
    recipe = Recipe(120, batch=32, check_every=20, precision="bf16")
    whole = Cohort(TASK, N, ARCHS["transformer"], MEMBERS, recipe).train(lambda c: states.append(c.to_bytes()))
    again = Cohort(TASK, N, ARCHS["transformer"], MEMBERS, recipe)
    again.restore(states[2])
    for a, b in zip(whole, again.train(), strict=True):
        assert difference(a, b) == 0.0 and np.array_equal(a.curve, b.curve) and a.score == b.score


def test_a_divergence_is_its_own() -> None:
    members = [Member(0, 1e-2), Member(1, 1e30), Member(2, 1e-2)]
    healthy, broken, other = Cohort(TASK, N, ARCHS["transformer"], members, MIXED).train()
    assert (healthy.state, broken.state, other.state) == ("budget", "diverged", "budget")
    assert all(np.isfinite(tensor).all() for tensor in broken.model.tensors.values())
    assert np.isfinite(other.curve).all()


def test_both_precisions_learn_the_same() -> None:
    scores = {}
    for precision in ("fp32", "bf16"):
        recipe = Recipe(600, batch=64, check_every=50, hold=2, validation=256, precision=precision)
        trained = Cohort(IndexLookup(4), 8, one_layer(IndexLookup(4), 8, 16), MEMBERS, recipe).train()
        assert [t.state for t in trained] == ["solved"] * 3
        scores[precision] = [t.score for t in trained]
    assert min(scores["bf16"]) >= min(scores["fp32"]) - 0.01


@pytest.mark.parametrize(
    ("backend", "precision", "name"),
    [("eager", "fp32", "transformer"), ("aot_eager", "bf16", "transformer"), ("aot_eager", "fp32", "diagonal")],
)
def test_compiled_is_the_same(backend: str, precision: str, name: str) -> None:
    recipe = Recipe(3, batch=16, check_every=3, validation=64, precision=precision)  # pyright: ignore[reportArgumentType]
    plain = Cohort(TASK, N, ARCHS[name], MEMBERS, recipe)
    other = Cohort(TASK, N, ARCHS[name], MEMBERS, recipe, backend=backend)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # those of torch
        warnings.filterwarnings("error", "torch.compile failed")
        for a, b in zip(losses(plain), losses(other), strict=True):
            assert float((a - b).detach().abs().max()) < (1e-6 if precision == "fp32" else 1e-2)
    assert other.graded.compiled is not None


def test_every_cohort_of_a_process_is_compiled() -> None:
    """However many architectures came before it."""
    made: list[int] = []

    def backend(graph: torch.fx.GraphModule, inputs: list[torch.Tensor]) -> Callable:
        made[-1] += 1
        return graph.forward

    for width in range(1, 11):
        cohort, count = Cohort(TASK, N, one_layer(TASK, N, width), MEMBERS, MIXED), len(made)
        made.append(0)
        cohort.graded = passes.Graded(backend)
        losses(cohort)
        assert made[count] == 1


def test_where_compilation_fails_training_goes_on() -> None:
    def broken(graph, inputs):
        raise RuntimeError("no such compiler")

    plain, other = (Cohort(TASK, N, ARCHS["transformer"], MEMBERS, MIXED) for _ in range(2))
    other.graded = passes.Graded(broken)
    with pytest.warns(RuntimeWarning, match="torch.compile failed, going on without it: .*no such compiler") as told:
        found = other.train()
    assert len(told) == 1 and all(difference(a, b) == 0.0 for a, b in zip(plain.train(), found, strict=True))


def test_an_error_of_the_losses_is_not_hidden() -> None:
    def wrong(weights: torch.Tensor) -> torch.Tensor:
        raise ValueError("of its own")

    with pytest.raises(ValueError, match="of its own"), pytest.warns(RuntimeWarning):
        passes.Graded("eager")(wrong, torch.ones(2, 3, requires_grad=True))


def test_on_cuda() -> None:
    if not torch.cuda.is_available():
        pytest.skip("no CUDA device")
    for backend in ("", passes.BACKEND):
        recipe = Recipe(600, batch=64, check_every=50, hold=2, validation=256, precision="bf16")
        cohort = Cohort(IndexLookup(4), 8, one_layer(IndexLookup(4), 8, 16), MEMBERS, recipe, "cuda", backend=backend)
        assert [t.state for t in cohort.train()] == ["solved"] * 3


def test_plain_errors() -> None:
    with pytest.raises(InputError, match="precision 'fp16' is not known; take fp32 or bf16"):
        Recipe(5, precision="fp16")  # pyright: ignore[reportArgumentType]
    positional = Positional(6, 0, 1, 8, 6, (PositionalLayer(2, 6, 4, (8,)),), 1)
    with pytest.raises(InputError, match="bf16 is for labels; prefix-sums has real answers"):
        Cohort(PrefixSums(), N, positional, MEMBERS, MIXED)
    with pytest.raises(InputError, match="bf16 goes with float32 weights, not with float64"):
        Cohort(TASK, N, ARCHS["transformer"], MEMBERS, MIXED, dtype="float64")


def test_a_model_is_measured_in_float32() -> None:
    """What is handed on is a float32 model; its score is that of the model, not of the rounded products."""
    (trained,) = Cohort(TASK, N, ARCHS["transformer"], MEMBERS[:1], MIXED).train()
    assert isinstance(trained.model, Model)
    plain = Cohort(TASK, N, ARCHS["transformer"], MEMBERS[:1], Recipe(40, batch=16, check_every=20, validation=64))
    flat = np.concatenate([trained.model.tensors[name].ravel() for name in plain.shapes])
    plain.weights = torch.from_numpy(flat[None])
    assert plain._scores([plain._sample(0, "test", 64)]) == [trained.score]
