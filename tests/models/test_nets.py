"""The torch modules compute what the NumPy reference computes, and hold the very same tensors."""

import contextlib

import numpy as np
import pytest
import torch

from separatrix.can import Witness
from separatrix.can import registry as witnesses
from separatrix.core.arch import Arch, Attention, FeedForward, LayerNorm, Linear, PointerSet, Readout, Table
from separatrix.core.domain import PointerSets
from separatrix.core.errors import InputError
from separatrix.core.seeds import child
from separatrix.core.shapes import tensor_shapes
from separatrix.core.task import Task
from separatrix.models import Model, evaluate
from separatrix.models.nets import Transformer, load, to_model
from separatrix.tasks import make_task

ONE = (Attention(1, 3, 2, scale=0.7),)
DEEP = (
    Attention(3, 2, 4, mask="causal", scale=0.5, residual=True),
    FeedForward(7),
    Attention(2, 4, 3, residual=True),
    FeedForward(5, residual=True),
)
NORMS = (
    Attention(2, 3, 2, norm="pre", residual=True),
    FeedForward(6, norm="pre", residual=True),
    LayerNorm(1e-3),
    Attention(1, 2, 3, mask="causal", norm="pre"),
    LayerNorm(1e-5, bias=False),
)
POSITIONS, VOCABULARY = 6, 5
ARCHS = {
    "table": Arch(4, Table(VOCABULARY), ONE, Readout(3)),
    "table+position": Arch(4, Table(VOCABULARY, 8), ONE, Readout(3)),
    "blank": Arch(4, Table(VOCABULARY, 8), ONE, Readout(3), blank=True),
    "causal, blank": Arch(4, Table(VOCABULARY, 8), (Attention(2, 9, 9, mask="causal"),), Readout(3), blank=True),
    "wide head": Arch(4, Table(VOCABULARY, 8), (Attention(2, 16, 20, residual=True),), Readout(3)),
    "feed-forward": Arch(4, Table(VOCABULARY, 8), (FeedForward(6),), Readout(2)),
    "deep": Arch(5, Table(VOCABULARY, 8), DEEP, Readout(4), blank=True),
    "norms": Arch(5, Table(VOCABULARY, 8), NORMS, Readout(4), blank=True),
    "linear": Arch(4, Linear(2, 8), DEEP, Readout(2, "reals")),
    "least-norm": Arch(2 + 2 * 4, PointerSet(2, 8, 2, 4, "least-norm"), ONE, Readout(2, "reals")),
    "least-norm, narrow": Arch(2 + 2 * 1, PointerSet(2, 8, 2, 1, "least-norm"), ONE, Readout(2, "reals")),
    "sum": Arch(2 + 2 * 4, PointerSet(2, 8, 2, 4, "sum"), DEEP, Readout(2, "reals"), blank=True),
    "slots": Arch(2 + 4 + 8, PointerSet(2, 8, 2, 4, "slots"), ONE, Readout(2, "reals")),
    "trigonometric": Arch(2 + 4 + 4, PointerSet(2, 8, 2, 4, "trigonometric"), ONE, Readout(2, "reals"), blank=True),
}


def random_model(arch: Arch, rng: np.random.Generator, dtype: type = np.float64) -> Model:
    shapes = tensor_shapes(arch)
    tensors = {name: np.asarray(rng.standard_normal(shape) / 2, dtype) for name, shape in shapes.items()}
    return Model(arch, {name: abs(t) if name.endswith("eps") else t for name, t in tensors.items()})


def random_inputs(arch: Arch, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray | None]:
    if isinstance(arch.first, Table):
        return rng.integers(0, VOCABULARY, (9, POSITIONS)), None
    reals = rng.standard_normal((9, POSITIONS, arch.first.reals))
    if isinstance(arch.first, Linear):
        return np.zeros((9, POSITIONS), dtype=np.int64), reals
    return np.sort(rng.random((9, POSITIONS, POSITIONS)).argsort(axis=2)[:, :, : arch.first.pointers]), reals


def run(net: Transformer, tokens: np.ndarray, reals: np.ndarray | None, queries=None) -> np.ndarray:
    with torch.no_grad():
        parts = None if reals is None else torch.from_numpy(reals).to(net.device)
        return net(torch.from_numpy(tokens).to(net.device), parts, queries).cpu().numpy()


@pytest.mark.parametrize("arch", ARCHS.values(), ids=ARCHS)
@pytest.mark.parametrize("queries", [None, (4,), (1, 5)])
def test_forward_equals_the_reference(arch, queries):
    rng = child(1, repr(arch))
    model = random_model(arch, rng)
    tokens, reals = random_inputs(arch, rng)
    expected = evaluate(model, tokens, reals, queries)
    assert expected.std() > 1e-3
    found = run(load(model), tokens, reals, queries)
    assert found.dtype == np.float64 and found.shape == expected.shape
    np.testing.assert_allclose(found, expected, rtol=1e-12, atol=1e-12)
    single = run(load(model, torch.float32), tokens, reals, queries)
    assert single.dtype == np.float32
    np.testing.assert_allclose(single, expected, rtol=1e-3, atol=1e-4)


def random_arch(rng: np.random.Generator) -> Arch:
    layers = []
    for _ in range(rng.integers(1, 5)):
        residual = bool(rng.integers(2))
        if rng.integers(3):
            heads, key, value = map(int, rng.integers(1, 6, 3))
            mask = "causal" if rng.integers(2) else "none"
            layers.append(Attention(heads, key, value, mask=mask, scale=float(rng.random()), residual=residual))
        else:
            layers.append(FeedForward(int(rng.integers(1, 9)), residual=residual))
    first = Table(VOCABULARY, POSITIONS * int(rng.integers(2)))
    return Arch(int(rng.integers(1, 9)), first, tuple(layers), Readout(3), blank=bool(rng.integers(2)))


@pytest.mark.parametrize("draw", range(40))
def test_random_architectures(draw):
    rng = child(2, draw)
    arch = random_arch(rng)
    model = random_model(arch, rng)
    tokens, _ = random_inputs(arch, rng)
    queries = None if rng.integers(2) else [int(rng.integers(POSITIONS))]
    expected = evaluate(model, tokens, queries=queries)
    np.testing.assert_allclose(run(load(model), tokens, None, queries), expected, rtol=1e-12, atol=1e-12)


def smallest(witness: Witness) -> tuple[Model, Task, int]:
    """The first length at which the construction exists, with small parameters of its task."""
    parameters: dict[str, dict[str, object]] = {
        "index-lookup": {"symbols": 4},
        "match2": {"modulus": 7},
        "sparse-averaging": {"q": 2},
    }
    task = make_task(witness.task, parameters.get(witness.task, {}))
    for n in (8, 16, 32, 64, 128):
        with contextlib.suppress(InputError):
            return witness.build(task, n), task, n
    pytest.skip(f"{witness.name} begins beyond N = 128")


@pytest.mark.parametrize("name", [name for name, w in witnesses.items() if w.arch == "transformer"])
def test_every_witness(name):
    model, task, n = smallest(witnesses.get(name))
    first = model.arch.first
    if isinstance(first, PointerSet) and "moment" in (first.keys, first.query):
        with pytest.raises(InputError, match="exact integers"):
            load(model)
        return
    tokens, reals = task.sample(n, 20, child(3, name))
    queries = task.queries(n)
    expected = evaluate(model, tokens, reals, queries)
    net = load(model, torch.float64)
    np.testing.assert_allclose(run(net, tokens, reals, queries), expected, rtol=1e-12, atol=1e-12)
    if not isinstance(task.domain(n).alphabets[0], PointerSets):
        assert np.array_equal(run(net, tokens, reals, queries).argmax(axis=2), task.answer(tokens))


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("arch", ARCHS.values(), ids=ARCHS)
def test_inverses_bit_for_bit(arch, dtype):
    model = random_model(arch, child(4, repr(arch)), dtype)
    model.tensors["readout.weight"].flat[0] = -0.0
    back = to_model(load(model))
    assert back.arch == model.arch and list(back.tensors) == list(tensor_shapes(arch))
    for name, tensor in model.tensors.items():
        assert back.tensors[name].dtype == tensor.dtype and back.tensors[name].shape == tensor.shape
        assert back.tensors[name].tobytes() == tensor.tobytes()
    again = load(back).state_dict()
    assert all(torch.equal(tensor, again[name]) for name, tensor in load(model).state_dict().items())


def test_mixed_dtypes_are_kept_and_computed_in_float64():
    arch = ARCHS["table+position"]
    model = random_model(arch, child(5))
    tensors = dict(model.tensors) | {"embed.token": np.arange(20).reshape(5, 4)}
    tensors["readout.bias"] = tensors["readout.bias"].astype(np.float32)
    model = Model(arch, tensors)
    net = load(model)
    assert net.dtype == torch.float64
    assert {name: t.dtype for name, t in to_model(net).tensors.items()} == {n: t.dtype for n, t in tensors.items()}
    tokens, _ = random_inputs(arch, child(6))
    np.testing.assert_allclose(run(net, tokens, None), evaluate(model, tokens), rtol=1e-12, atol=1e-12)


def test_the_module_owns_its_tensors():
    model = random_model(ARCHS["deep"], child(7))
    before = model.tensors["readout.bias"].copy()
    net = load(model)
    value = to_model(net)
    with torch.no_grad():
        for parameter in net.parameters():
            parameter += 1.0
    assert np.array_equal(model.tensors["readout.bias"], before)
    assert np.array_equal(value.tensors["readout.bias"], before)
    assert np.array_equal(to_model(net).tensors["readout.bias"], before + 1.0)


@pytest.mark.parametrize("name", ["deep", "least-norm", "trigonometric", "sum"])
def test_gradients_reach_every_parameter_that_matters(name):
    arch = ARCHS[name]
    net = load(random_model(arch, child(8)))
    tokens, reals = random_inputs(arch, child(9))
    net(torch.from_numpy(tokens), None if reals is None else torch.from_numpy(reals)).square().sum().backward()
    assert all(p.grad is not None and torch.isfinite(p.grad).all() and p.grad.any() for p in net.parameters())


def test_moment_curve_has_no_torch_form():
    arch = Arch(1 + 4 + 4, PointerSet(2, 8, 1, 4, "moment", "moment"), ONE, Readout(1, "reals"))
    shapes = tensor_shapes(arch)
    tensors = {name: np.ones(shape) for name, shape in shapes.items()} | {"embed.nodes": np.arange(1, 9)}
    with pytest.raises(InputError, match="exact integers"):
        load(Model(arch, tensors))


def test_refusals():
    model = random_model(ARCHS["linear"], child(10))
    tokens, reals = random_inputs(model.arch, child(11))
    with pytest.raises(InputError, match="real parts"):
        run(load(model), tokens, None)
    with pytest.raises(InputError, match="take torch"):
        load(model, torch.bfloat16)
    assert reals is not None
    longer = np.repeat(reals, 2, axis=1)
    with pytest.raises(InputError, match="12 positions; the model has 8"):
        run(load(model), np.zeros((9, 12), dtype=np.int64), longer)
    with pytest.raises(InputError, match=r"readout\.bias"):
        Transformer(model.arch, {n: torch.from_numpy(t) for n, t in model.tensors.items() if n != "readout.bias"})
    with pytest.raises(InputError, match="shape"):
        short = {n: torch.zeros(1) for n in model.tensors}
        Transformer(model.arch, short)


def test_cuda():
    model = random_model(ARCHS["deep"], child(12))
    tokens, reals = random_inputs(model.arch, child(13))
    if not torch.cuda.is_available():
        with pytest.raises(InputError, match="CUDA"):
            load(model, device="cuda")
        pytest.skip("no CUDA device")
    net = load(model, device="cuda")
    np.testing.assert_allclose(run(net, tokens, reals), evaluate(model, tokens, reals), rtol=1e-11, atol=1e-11)
    assert to_model(net).tensors["readout.bias"].tobytes() == model.tensors["readout.bias"].tobytes()
