"""Linear attention and its kin: all positions at once is step by step, and both are what others compute."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch

from models.recurrent_models import MIXED, random_recurrent
from separatrix.core.arch import Readout, Table
from separatrix.core.errors import InputError
from separatrix.core.mixers import DeltaNet, Dense, LinearAttention, Mixer, Retention, Rwkv, SelectiveSsm
from separatrix.core.recurrent import FixedPoint, Recurrent, state_width
from separatrix.core.size import Precision
from separatrix.models import Model, evaluate
from separatrix.models.nets import ensembles, load, to_model
from separatrix.models.nets.ensembles import mixers as parallel
from separatrix.models.nets.ensembles.scans import SelectiveScan
from separatrix.models.recurrent import Runner
from separatrix.models.trace import trace

KINDS: dict[str, Mixer] = {
    "linear-attention": LinearAttention(2, 3, 4, 5),
    "retention": Retention(3, 4, 2, 5),
    "retention, not turned": Retention(2, 3, 4, 5, base=0.0),
    "deltanet": DeltaNet(2, 3, 4, 5),
    "deltanet, negative": DeltaNet(2, 3, 4, 5, negative=True),
    "selective-ssm": SelectiveSsm(4, 3, 2, 5),
    "selective-ssm, convolution": SelectiveSsm(4, 3, 2, 5, convolution=3),
    "selective-ssm, convolution of one": SelectiveSsm(4, 3, 2, 5, convolution=1),
    "rwkv-4": Rwkv(6, 4, 5),
    "dense": Dense(6, 5),
}


@pytest.mark.parametrize("name", [*KINDS, "stack"])
@pytest.mark.parametrize("chunk", [4, 64])
def test_all_at_once_is_step_by_step(name: str, chunk: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parallel, "CHUNK", chunk)
    monkeypatch.setattr(parallel, "SOLVED", chunk)
    layers = MIXED if name == "stack" else (KINDS[name],)
    model = random_recurrent(layers, seed=2, positions=30)
    tokens = np.random.default_rng(0).integers(0, 4, (5, 30))
    expected, net = evaluate(model, tokens), load(model)
    assert expected.std() > 0.1
    np.testing.assert_allclose(net(torch.from_numpy(tokens)).detach().numpy(), expected, rtol=1e-10, atol=1e-10)
    for queries in ([29], [4, 0, 7, 7]):
        found = net(torch.from_numpy(tokens), queries=queries).detach().numpy()
        np.testing.assert_allclose(found, expected[:, queries], rtol=1e-10, atol=1e-10)
        given = {key: torch.from_numpy(value)[None] for key, value in model.tensors.items()}
        found = ensembles.outputs(model.arch, given, torch.from_numpy(tokens)[None], None, queries)[0].numpy()
        np.testing.assert_allclose(found, expected[:, queries], rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("name", KINDS)
def test_gradients_are_differences(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parallel, "CHUNK", 3)
    monkeypatch.setattr(parallel, "SOLVED", 3)
    model = random_recurrent((KINDS[name],), seed=4)
    tokens = np.random.default_rng(1).integers(0, 4, (3, 5))
    toward = np.random.default_rng(2).normal(size=(3, 5, 3))
    net = load(model)
    (net(torch.from_numpy(tokens)) * torch.from_numpy(toward)).sum().backward()
    rng, step = np.random.default_rng(3), 1e-5
    for key, own in net.names.items():
        direction, moved = rng.normal(size=model.tensors[key].shape), list[float]()
        for sign in (1, -1):
            tensors = dict(model.tensors) | {key: model.tensors[key] + sign * step * direction}
            moved.append(float((evaluate(Model(model.arch, tensors), tokens) * toward).sum()))
        gradient = net.get_parameter(own).grad
        assert gradient is not None
        slope = float((gradient.numpy() * direction).sum())
        assert slope == pytest.approx((moved[0] - moved[1]) / (2 * step), rel=1e-5, abs=1e-6), key


def test_the_selective_scan_has_the_right_gradient() -> None:
    torch.manual_seed(0)
    shapes = ((2, 2, 3, 3), (2, 2, 3, 3), (2, 2, 3), (2, 2, 3, 2), (2, 2, 3, 2))
    given = [torch.randn(*shape, dtype=torch.float64, requires_grad=True) for shape in shapes]
    assert torch.autograd.gradcheck(SelectiveScan.apply, given)


@pytest.mark.parametrize("name", [*KINDS, "stack"])
def test_runs_can_be_cut_and_files_keep_everything(name: str, tmp_path) -> None:
    model = random_recurrent(MIXED if name == "stack" else (KINDS[name],), seed=1, positions=7, dtype=np.float32)
    model.save(tmp_path)
    again = Model.load(tmp_path)
    assert again.arch == model.arch and to_model(load(again)).reference() == model.reference()
    tokens = np.random.default_rng(0).integers(0, 4, (9, 7))
    whole, runner = evaluate(model, tokens), Runner(again)
    for cut in (0, 3, 7):
        state = runner.run(runner.start(9), tokens[:, :cut])
        assert state.shape[1] == model.arch.state_numbers  # pyright: ignore[reportAttributeAccessIssue]
        assert np.array_equal(runner.outputs(state, tokens[:, cut:], first=cut), whole[:, cut:])


def sized(layer: Mixer) -> int:
    model = random_recurrent((layer,), seed=0)
    size = model.size(10, Precision.parse("fp32"))
    assert size.parameters == sum(tensor.size for tensor in model.tensors.values())
    assert size.bits("cut") == 32 * (size.state_numbers or 0)
    return size.state_numbers or 0


def test_sizes_count_what_is_carried() -> None:
    assert sized(LinearAttention(2, 3, 4, 5)) == 2 * 3 * (4 + 1)  # a normaliser a key entry
    assert sized(Retention(2, 4, 3, 5)) == sized(DeltaNet(2, 4, 3, 5)) == 2 * 4 * 3
    assert sized(SelectiveSsm(5, 3, 2, 4)) == 5 * 3 and sized(SelectiveSsm(5, 3, 2, 4, 4)) == 5 * 3 + 5 * 3
    assert sized(Rwkv(6, 4, 5)) == 2 * 6 + 4 and sized(Dense(3, 4)) == 0
    assert [step.after.shape[1] for step in trace(random_recurrent(MIXED, 0), np.array([0, 1])).steps] == [
        *map(state_width, MIXED)
    ]
    rounded = random_recurrent((DeltaNet(1, 2, 2, 3),), seed=0, grid=FixedPoint(8, 4))
    assert rounded.arch.state_bits == 32 and "1 head(s), key width 2" in str(rounded)  # pyright: ignore[reportAttributeAccessIssue]


def test_a_rounded_state_is_a_finite_automaton_that_has_no_parallel_form() -> None:
    model = random_recurrent((DeltaNet(1, 2, 2, 3, negative=True),), seed=0, grid=FixedPoint(6, 4))
    runner = Runner(model)
    words = np.array(list(itertools.product(range(4), repeat=4)))
    states = runner.run(runner.start(len(words)), words)
    assert np.array_equal(states * 16, np.rint(states * 16)) and np.abs(states).max() <= 2 and states.std() > 0.1
    with pytest.raises(InputError, match="no parallel form"):
        load(model)


@pytest.mark.parametrize(
    ("layer", "word"),
    [
        (DeltaNet(1, 2, 2, 3, residual=True), "hands on 3 numbers and adds 4"),
        (Rwkv(3, 5, 4), "made to read 5 numbers; 4 are below"),
        (Retention(1, 3, 2, 4), "key_width 3 is odd"),
        (Retention(1, 2, 2, 4, base=0.5), "neither 0 nor"),
        (SelectiveSsm(3, 2, 1, 4, convolution=-1), "positive"),
        (LinearAttention(0, 2, 2, 4), "positive"),
    ],
)
def test_bad_configs_are_refused(layer: Mixer, word: str) -> None:
    with pytest.raises(InputError, match=word):
        Recurrent(4, Table(4), (layer,), Readout(3)).check()
