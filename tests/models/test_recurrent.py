"""Recurrent models: their evaluation against torch and against loops of one number at a time, files, sizes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from models.recurrent_models import CELLS, random_recurrent
from separatrix.core.arch import Readout, Table
from separatrix.core.config import read_config
from separatrix.core.errors import InputError
from separatrix.core.recurrent import DiagonalSsm, Elman, FixedPoint, Gru, Lstm, Recurrent
from separatrix.core.size import Precision
from separatrix.models import Model, evaluate
from separatrix.models.recurrent import Runner


def modular_counter(modulus: int) -> Model:
    """Counts ones: unit (r, b) says that the count was r before token b; one more unit says that nothing was read."""
    pairs = [(r, b) for r in range(modulus) for b in (0, 1)]
    start, units = len(pairs), len(pairs) + 1
    recurrent, table = np.zeros((units, units)), np.zeros((2, units))
    for i, (r, b) in enumerate(pairs):
        for j, (s, c) in enumerate(pairs):
            recurrent[j, i] = (s + c) % modulus == r
        recurrent[start, i] = r == 0
        table[b, i] = 1.0
    readout = np.zeros((units, modulus))
    for i, (r, b) in enumerate(pairs):
        readout[i, (r + b) % modulus] = 1.0
    tensors = {
        "embed.token": table,
        "layers.0.in": np.eye(units),
        "layers.0.bias": -np.ones(units),
        "layers.0.recurrent": recurrent,
        "layers.0.start": np.eye(units)[start],
        "readout.weight": readout,
        "readout.bias": np.zeros(modulus),
    }
    return Model(Recurrent(units, Table(2), (Elman(units),), Readout(modulus)), tensors)


@pytest.mark.parametrize("modulus", [2, 3, 5])
def test_an_elman_net_simulates_an_automaton_exactly(modulus: int) -> None:
    model = modular_counter(modulus)
    tokens = np.array(list(np.ndindex(*(2,) * 8)))
    outputs = evaluate(model, tokens)
    assert set(np.unique(outputs)) == {0.0, 1.0}
    assert np.array_equal(outputs.argmax(axis=2), np.cumsum(tokens, axis=1) % modulus)


@pytest.mark.parametrize("cell", [Elman(5, "relu"), Elman(5, "tanh"), Lstm(5), Gru(5)], ids=lambda c: c.kind)
def test_gated_cells_are_those_of_torch(cell: Elman | Lstm | Gru) -> None:
    torch = pytest.importorskip("torch")
    model = random_recurrent((cell, type(cell)(4)), seed=3)
    x = torch.tensor(model.tensors["embed.token"])[torch.tensor([[0, 2, 1, 1, 3, 0]])]
    for i, layer in enumerate(model.arch.layers):
        t = {
            name.split(".")[2]: torch.tensor(v) for name, v in model.tensors.items() if name.startswith(f"layers.{i}.")
        }
        kind = {"elman": torch.nn.RNN, "lstm": torch.nn.LSTM, "gru": torch.nn.GRU}[layer.kind]
        more = {"nonlinearity": layer.activation} if isinstance(layer, Elman) else {}
        net = kind(x.shape[2], layer.units, batch_first=True, dtype=torch.float64, **more)
        with torch.no_grad():
            net.weight_ih_l0.copy_(t["in"].T)
            net.weight_hh_l0.copy_(t["recurrent"].T)
            net.bias_ih_l0.copy_(t["bias"])
            net.bias_hh_l0.zero_()
            if isinstance(layer, Gru):
                net.bias_hh_l0[2 * layer.units :] = t["candidate_bias"]
            parts = [part[None, None] for part in t["start"].split(layer.units)]
            x, _ = net(x, tuple(parts) if isinstance(layer, Lstm) else parts[0])
            x = x.detach()
    expected = x.numpy() @ model.tensors["readout.weight"] + model.tensors["readout.bias"]
    assert np.allclose(evaluate(model, np.array([[0, 2, 1, 1, 3, 0]])), expected, atol=1e-12)


def test_a_diagonal_ssm_is_a_sum_of_powers() -> None:
    """s_t = a^(t+1) s_start + sum_j a^(t-j) (x_j W + b), complex."""
    model = random_recurrent((DiagonalSsm(3, 4),), seed=5)
    tokens, t = np.array([0, 3, 1, 2, 2]), model.tensors
    complex_of = lambda v: v[..., :3] + 1j * v[..., 3:]  # noqa: E731
    a = t["layers.0.diagonal"][0] + 1j * t["layers.0.diagonal"][1]
    x = t["embed.token"][tokens]
    drive = complex_of(x @ t["layers.0.in"] + t["layers.0.bias"])
    state = a**5 * complex_of(t["layers.0.start"]) + sum(a ** (4 - j) * drive[j] for j in range(5))
    flat = np.concatenate([state.real, state.imag])
    seen = np.maximum(flat @ t["layers.0.out"] + x[-1] @ t["layers.0.skip"] + t["layers.0.out_bias"], 0.0)
    expected = seen @ t["readout.weight"] + t["readout.bias"]
    assert np.allclose(evaluate(model, tokens[None], queries=[4])[0, 0], expected, atol=1e-12)


@pytest.mark.parametrize("cells", CELLS, ids=lambda cells: "-".join(cell.kind for cell in cells))
@pytest.mark.parametrize("grid", [None, FixedPoint(6, 4)], ids=["exact", "fixed"])
def test_runs_can_be_cut_anywhere_and_files_keep_everything(
    cells: tuple, grid: FixedPoint | None, tmp_path: Path
) -> None:
    model = random_recurrent(cells, seed=1, grid=grid, positions=7)
    model.save(tmp_path)
    again = Model.load(tmp_path)
    assert again.arch == model.arch and again.reference() == model.reference()
    tokens = np.random.default_rng(0).integers(0, 4, (9, 7))
    whole, runner = evaluate(model, tokens), Runner(again)
    for cut in (0, 1, 4, 7):
        state = runner.run(runner.start(9), tokens[:, :cut])
        rest = runner.outputs(state, tokens[:, cut:], first=cut)
        assert np.array_equal(rest, whole[:, cut:])
    assert np.array_equal(evaluate(model, tokens, queries=[6, 2]), whole[:, [6, 2]])
    if grid is not None:
        scaled = runner.run(runner.start(9), tokens) * 2.0**grid.fraction
        assert np.array_equal(scaled, np.rint(scaled)) and scaled.min() >= -32 and scaled.max() <= 31


def test_sizes_count_what_is_carried() -> None:
    model = random_recurrent((Lstm(5), Gru(4), DiagonalSsm(3, 2)), seed=0)
    size = model.size(10, Precision.parse("fp32"))
    assert (size.layers, size.state_numbers, size.bits("cut")) == (3, 10 + 4 + 6, 20 * 32)
    assert size.heads is None and size.bits("representation") == 32 * sum(t.size for t in model.tensors.values())
    rounded = random_recurrent((Elman(8),), seed=0, grid=FixedPoint(4, 2))
    assert rounded.size(10).bits("state") == 32 and rounded.arch.state_bits == 32
    assert model.arch.state_bits is None and "lstm, 5 units" in str(model)


def test_bad_configs_are_refused() -> None:
    config = random_recurrent((Elman(3),), seed=0).arch.to_config()
    assert read_config(config).to_config() == config
    for change, word in [
        ({"format": 2}, "format"),
        ({"layers": []}, "no layers"),
        ({"width": 0}, "positive"),
        ({"kind": "recurrant"}, "none of transformer, recurrent"),
        ({"colour": 1}, "colour"),
        ({"state": {"bits": 60, "fraction": 2, "kind": "fixed"}}, "48"),
        ({"layers": [{"units": 3, "activation": "gelu", "kind": "elman"}]}, "gelu"),
        ({"first": {"reals": 2, "positions": 3, "kind": "linear"}}, "first"),
    ]:
        with pytest.raises(InputError, match=word):
            read_config(config | change)


def test_inputs_that_are_too_long_and_models_of_another_kind_are_refused() -> None:
    model = random_recurrent((Elman(3),), seed=0, positions=4)
    with pytest.raises(InputError, match="the model has 4"):
        evaluate(model, np.zeros((1, 5), dtype=int))
    with pytest.raises(InputError, match="position 9"):
        evaluate(random_recurrent((Elman(3),), seed=0), np.zeros((1, 5), dtype=int), queries=[9])
    with pytest.raises(InputError, match="recurrent"):
        _ = model.transformer


@pytest.mark.parametrize("cells", CELLS, ids=lambda cells: "-".join(cell.kind for cell in cells))
@pytest.mark.parametrize("grid", [None, FixedPoint(6, 4)], ids=["exact", "fixed"])
def test_the_torch_form_is_the_same_function_and_comes_back_bit_for_bit(cells: tuple, grid: FixedPoint | None) -> None:
    torch = pytest.importorskip("torch")
    from separatrix.models import nets

    model = random_recurrent(cells, seed=2, grid=grid, positions=6, dtype=np.float32)
    net = nets.load(model)
    again = nets.to_model(net)
    assert again.reference() == model.reference()
    tokens = np.random.default_rng(0).integers(0, 4, (5, 6))
    double = nets.load(model, torch.float64)
    found = double(torch.from_numpy(tokens), queries=[5, 1]).detach().numpy()
    assert np.allclose(found, evaluate(model, tokens, queries=[5, 1]), atol=1e-12)
    net(torch.from_numpy(tokens)).sum().backward()
    moved = [name for name, own in net.names.items() if net.get_parameter(own).grad is not None]
    assert len(moved) == len(net.names)


def test_a_recurrent_model_is_trained_like_any_other() -> None:
    pytest.importorskip("torch")
    from separatrix.learn import train
    from separatrix.tasks import make_task

    arch = Recurrent(8, Table(5), (Gru(12),), Readout(2))
    trained = train(
        make_task("dyck", {"depth": 1}),
        4,
        arch,
        seed=0,
        steps=150,
        learning_rate=0.02,
        batch=64,
        distribution="balanced",
    )
    assert trained.accuracy > 0.9 and trained.model.arch == arch
