"""Programs: interpreter against NumPy, compiled weights against the interpreter, sizes, back ends, controls."""

from __future__ import annotations

import dataclasses
import itertools
import math

import numpy as np
import pytest
import torch

from separatrix.can.programs import library
from separatrix.can.programs.batcher import stages
from separatrix.can.programs.benes import SHARP, compile_benes, fixed_benes, settings, spans
from separatrix.can.programs.direct import compile_direct, program_size, sharpness
from separatrix.can.programs.expression import maximum, minimum, own, received
from separatrix.can.programs.program import SINK, Lane, Program, Round, Route, run
from separatrix.can.programs.sortnet import compile_packed, compile_sortnet, factor, packed_route
from separatrix.core.errors import InputError
from separatrix.core.positional import Positional
from separatrix.models import nets
from separatrix.models.evaluate import evaluate
from separatrix.models.model import Model
from separatrix.models.positional import patterns
from separatrix.tasks import make_task

TASK_OF = {
    "prefix_sums": "prefix-sums",
    "prefix_minima": "prefix-minima",
    "prefix_maxima": "prefix-maxima",
    "sort": "sorting",
    "maximum_subarray": "maximum-subarray",
    "prefix_medians": "prefix-medians",
    "total": "total",
    "least": "least",
    "greatest": "greatest",
}


def answers(name: str, x: np.ndarray) -> np.ndarray:
    """(batch, N) by NumPy."""
    task = make_task(TASK_OF[name])
    return task.answer(np.zeros(x.shape, dtype=np.int64), x[:, :, None])[:, :, 0]


@pytest.mark.parametrize("name", TASK_OF)
def test_the_interpreter_agrees_with_numpy(name: str) -> None:
    rng = np.random.default_rng(0)
    for n in (1, 2, 3, 5, 8, 13, 16) + ((31, 64) if name != "prefix_medians" else ()):
        x = rng.uniform(-2, 2, (40, n))
        assert np.abs(run(getattr(library, name)(n), x[:, :, None])[:, :, 0] - answers(name, x)).max() < 1e-12


@pytest.mark.parametrize("name", TASK_OF)
def test_compiled_in_float32_at_every_scale_and_length(name: str) -> None:
    """1e-5 of the largest answer, for c = 1..10 times the training range and every N from 2 to 64."""
    rng = np.random.default_rng(0)
    for n in range(2, 25 if name == "prefix_medians" else 65):
        assert_close_in_float32(name, n, rng)


@pytest.mark.slow
@pytest.mark.parametrize("n", range(25, 65))
def test_longer_medians_in_float32(n: int) -> None:
    assert_close_in_float32("prefix_medians", n, np.random.default_rng(n))


def assert_close_in_float32(name: str, n: int, rng: np.random.Generator) -> None:
    """On 40 inputs, four at each scale."""
    net = nets.load(compile_direct(getattr(library, name)(n)), torch.float32)
    x = rng.uniform(-2, 2, (10, 4, n)) * np.arange(1, 11)[:, None, None]
    rows = torch.from_numpy(x.reshape(40, n, 1)).float()
    with torch.no_grad():
        got = net(None, rows).numpy()[:, :, 0].reshape(10, 4, n)
    wanted = answers(name, rows.numpy()[:, :, 0].astype(np.float64)).reshape(10, 4, n)
    assert (np.abs(got - wanted).max(axis=(1, 2)) <= 1e-5 * np.abs(wanted).max(axis=(1, 2))).all(), n


def test_sort_on_all_zero_one_inputs() -> None:
    """The zero-one principle, exhaustively to N = 16, on the compiled weights in float32."""
    for n in range(2, 17):
        net = nets.load(compile_direct(library.sort(n)), torch.float32)
        x = ((np.arange(2**n)[:, None] >> np.arange(n)) & 1).astype(np.float32)
        with torch.no_grad():
            got = net(None, torch.from_numpy(x[:, :, None])).numpy()[:, :, 0]
        assert (got.round() == np.sort(x, axis=1)).all() and np.abs(got - got.round()).max() < 1e-5


def test_attention_ignores_the_input_and_leaks_little() -> None:
    for beta, most in ((5.0, 63 * math.exp(-5)), (20.0, 63 * math.exp(-20)), (128.0, 0.0)):
        model = compile_direct(library.sort(63), beta)
        assert isinstance(model.arch, Positional)
        for i in range(len(model.arch.layers)):
            weights = patterns(model.arch, model.tensors, i)
            assert np.allclose(weights.sum(axis=2), 1.0)
            assert (1.0 - weights.max(axis=2)).max() <= most + 1e-15
    net = nets.load(model)
    assert net.patterns(0).shape == (2, 64, 64)  # no batch dimension: nothing of an input can enter


def test_homogeneous() -> None:
    x = np.random.default_rng(0).uniform(-2, 2, (20, 11, 1))
    for name in TASK_OF:
        model = compile_direct(getattr(library, name)(11))
        tokens = np.zeros((20, 11), dtype=np.int64)
        assert np.allclose(evaluate(model, tokens, 7.0 * x), 7.0 * evaluate(model, tokens, x), rtol=1e-12)


@pytest.mark.parametrize("n", [2, 3, 8, 64])
def test_sizes(n: int) -> None:
    """Layers of the digest's table: prefix sums ceil(log2 N), sort L(L + 1)/2; N + 1 nodes; sizes without building."""
    depth = math.ceil(math.log2(n))
    layers = {
        "prefix_sums": depth,
        "prefix_minima": depth,
        "prefix_maxima": depth,
        "sort": depth * (depth + 1) // 2,
        "maximum_subarray": 2 * depth + 1,
    }
    for name, count in layers.items():
        program = getattr(library, name)(n)
        size, built = program_size(program), compile_direct(program).size(n)
        assert (size.layers, size.tokens) == (count, n + 1)
        assert dataclasses.replace(size, precision=None) == built


def test_negative_controls() -> None:
    x = np.random.default_rng(0).uniform(-2, 2, (200, 8, 1))
    tokens = np.zeros((200, 8), dtype=np.int64)
    for name in ("prefix_sums", "sort"):
        program = getattr(library, name)(8)
        right = run(program, x)
        blurred = evaluate(compile_direct(program, 5.0), tokens, x)
        assert ((blurred - right) ** 2).mean() > 1e-3
        step = program.rounds[1]
        sources = list(step.lanes[0].sources)
        sources[5], sources[6] = sources[6], sources[5]
        swapped = dataclasses.replace(step, lanes=(Lane(0, tuple(sources)), *step.lanes[1:]))
        broken = dataclasses.replace(program, rounds=(program.rounds[0], swapped, *program.rounds[2:]))
        assert np.abs(evaluate(compile_direct(broken), tokens, x) - right).max() > 0.1


def test_compiled_weights_can_be_trained_on() -> None:
    """The same module: a gradient step from compiled weights keeps the loss near 0, and the result goes back."""
    torch.manual_seed(0)
    net = nets.load(compile_direct(library.prefix_sums(8)))
    x = torch.rand(64, 8, 1, dtype=torch.float64) * 4 - 2
    optimiser = torch.optim.SGD(net.parameters(), lr=1e-3)
    for _ in range(3):
        loss = ((net(None, x) - x.cumsum(dim=1)) ** 2).mean()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        assert float(loss.detach()) < 1e-20
    model = nets.to_model(net)
    assert isinstance(model, Model) and model.arch == net.arch


def test_sharpness_is_enough() -> None:
    program, x = library.sort(64), np.random.default_rng(0).uniform(-20, 20, (20, 64, 1))
    beta = sharpness(65, len(program.rounds), 20.0, 1e-6)
    assert 20 < beta < 40
    got = evaluate(compile_direct(program, beta), np.zeros((20, 64), dtype=np.int64), x)
    assert np.abs(got - run(program, x)).max() < 1e-6


# ------------------------------------------------------------------------------------------------ back ends


def test_batcher_sorts() -> None:
    for n in range(2, 13):
        x = (np.arange(2**n)[:, None] >> np.arange(n)) & 1
        for stage in stages(n):
            assert len({w for pair in stage for w in pair}) == 2 * len(stage)
            for low, high in stage:
                x[:, low], x[:, high] = np.minimum(x[:, low], x[:, high]), np.maximum(x[:, low], x[:, high])
        assert (np.diff(x, axis=1) >= 0).all()


def test_benes_settings_route_every_permutation() -> None:
    rng = np.random.default_rng(0)
    many = [p for n in (2, 4) for p in itertools.permutations(range(n))]
    many += [tuple(rng.permutation(n).tolist()) for n in (8, 16, 64) for _ in range(100)]
    for p in many:
        n, wires = len(p), np.arange(len(p))
        for span, bits in zip(spans(n), settings(p), strict=True):
            wires = np.where(bits == 1, wires[np.arange(n) ^ span], wires)
        assert tuple(wires.tolist()) == p


def two_rounds(n: int, seed: int) -> Program:
    rng = np.random.default_rng(seed)
    one, two, three = (tuple(rng.permutation(n).tolist()) for _ in range(3))
    first = Round((Lane(0, one), Lane(0, two)), (maximum(received(0), own(0)), received(1) + own(0)))
    last = Round((Lane(1, three),), (own(0) - own(1), minimum(received(0), own(0))))
    return Program("two-rounds", n, 2, 1, (first, last), (own(0) + own(1),))


@pytest.mark.parametrize("n", [2, 4, 8, 16])
def test_benes_back_end_meets_the_budget_of_the_theorem(n: int) -> None:
    """2 R ceil(log2 N) layers, 2 s heads and N + 1 nodes, with the same answers."""
    program = two_rounds(n, n)
    routed, extra = compile_benes(program, 10.0)
    x = np.random.default_rng(1).uniform(-2, 2, (30, n, 1))
    given = np.concatenate([x, np.tile(extra, (30, 1, 1))], axis=2)
    right = run(program, x)
    assert np.abs(run(routed, given) - right).max() < 1e-12
    model = compile_direct(routed)
    assert np.abs(evaluate(model, np.zeros((30, n), dtype=np.int64), given) - right).max() < 1e-12
    size = model.size(n)
    assert (size.layers, size.heads, size.tokens) == (2 * 2 * math.ceil(math.log2(n)), 2 * program.lanes, n + 1)


def test_benes_takes_any_permutation_without_new_weights() -> None:
    n, x = 8, np.random.default_rng(2).uniform(-2, 2, (5, 8, 1))

    def shuffle(seed: int) -> Program:
        p = tuple(np.random.default_rng(seed).permutation(n).tolist())
        return Program("shuffle", n, 1, 1, (Round((Lane(0, p),), (received(0),)),))

    weights = compile_direct(compile_benes(shuffle(0), 10.0)[0])
    for seed in range(20):
        _, extra = compile_benes(shuffle(seed), 10.0)
        got = evaluate(
            weights, np.zeros((5, n), dtype=np.int64), np.concatenate([x, np.tile(extra, (5, 1, 1))], axis=2)
        )
        assert np.abs(got - run(shuffle(seed), x)).max() < 1e-12


@pytest.mark.parametrize("n", [2, 3, 5, 8, 16])
def test_sorting_network_routes_by_data(n: int) -> None:
    rng = np.random.default_rng(n)
    program = Program("route", n, 3, 3, (Route(0, (1, 2)),), (own(1), own(2)))
    x = np.stack([np.c_[rng.permutation(n), rng.uniform(-5, 5, (n, 2))] for _ in range(50)])
    right = run(program, x)
    assert all((right[b, x[b, :, 0].astype(int)] == x[b, :, 1:]).all() for b in range(50))
    built = compile_sortnet(program, 5.0)
    depth = math.ceil(math.log2(n))
    assert len(built.rounds) == depth * (depth + 1) // 2 + 1
    assert np.abs(run(built, x) - right).max() < 1e-12
    assert np.abs(evaluate(compile_direct(built), np.zeros((50, n), dtype=np.int64), x) - right).max() < 1e-11


def test_plain_errors() -> None:
    route = Program("r", 2, 2, 2, (Route(0, (1,)),))
    with pytest.raises(InputError, match="back end sortnet"):
        compile_direct(route)
    with pytest.raises(InputError, match="no permutation"):
        run(route, np.zeros((1, 2, 2)))
    with pytest.raises(InputError, match="both destination and payload"):
        compile_sortnet(Program("r", 2, 2, 2, (Route(0, (0,)),)), 1.0)
    with pytest.raises(InputError, match="power of two"):
        compile_benes(library.prefix_minima(3), 1.0)
    with pytest.raises(InputError, match="deliver a word to every node"):
        compile_benes(library.prefix_sums(4), 1.0)
    with pytest.raises(InputError, match="one source a node"):
        Program("p", 2, 1, 1, (Round((Lane(0, (0, 2)),), (own(0),)),))
    with pytest.raises(InputError, match="does not exist"):
        Program("p", 2, 1, 1, (Round((Lane(0, (0, SINK)),), (received(1),)),))
    with pytest.raises(InputError, match="affine function"):
        compile_direct(Program("p", 2, 1, 1, (Round((), (own(0),)),), (maximum(own(0), 2.0 * own(0)),)))
    with pytest.raises(InputError, match="no rounds"):
        compile_direct(Program("p", 2, 1, 1, ()))
    with pytest.raises(InputError, match=r"reads \(batch, 2, 1\)"):
        run(Program("p", 2, 1, 1, ()), np.zeros((1, 3, 1)))


@pytest.mark.parametrize(
    ("name", "n"), [("prefix_sums", 2), ("prefix_sums", 16), ("least", 8), ("greatest", 16), ("sort_in_turn", 8)]
)
def test_benes_with_settings_in_the_weights(name: str, n: int) -> None:
    """The theorem's budget with no bound on the words: 2 heads a lane, 2 ceil(log2 N) layers a round, any scale."""
    program = getattr(library, name)(n)
    routed = fixed_benes(program)
    alone = sum(all(s in (i, SINK) for lane in r.lanes for i, s in enumerate(lane.sources)) for r in program.rounds)
    layers = 2 * math.ceil(math.log2(n)) * (len(program.rounds) - alone) + alone
    assert len(routed.rounds) == layers and routed.lanes == 2
    x = np.random.default_rng(0).uniform(-2, 2, (20, n, 1)) * np.array([1.0, 1e-6, 1e9, 7.0])[:, None, None, None]
    x = x.reshape(-1, n, 1)
    right = run(program, x)
    net = nets.load(compile_direct(routed, SHARP), torch.float32)
    with torch.no_grad():
        rows = torch.from_numpy(x).float()
        got = net(None, rows).numpy()
    wanted = run(program, rows.numpy().astype(np.float64))
    assert (np.abs(got - wanted).max(axis=(1, 2)) <= 1e-5 * np.abs(wanted).max(axis=(1, 2))).all()
    assert np.abs(run(routed, x) - right).max() <= 1e-9 * np.abs(right).max()


def test_benes_in_the_weights_refuses_what_it_cannot_route() -> None:
    with pytest.raises(InputError, match="reads some node twice"):
        fixed_benes(library.total(4))
    with pytest.raises(InputError, match="power of two"):
        fixed_benes(library.prefix_sums(6))
    with pytest.raises(InputError, match="sortnet"):
        fixed_benes(Program("route", 2, 2, 2, (Route(0, (1,)),)))


@pytest.mark.parametrize("n", [2, 3, 4, 5])
def test_sorting_network_routes_every_permutation_of_every_corner(n: int) -> None:
    """All N! destinations, all payloads of +-bound: between these the switches are linear in the payload."""
    program, bound = Program("route", n, 2, 2, (Route(0, (1,)),), (own(1),)), 5.0
    model = compile_direct(compile_sortnet(program, bound))
    corners = bound * (2.0 * ((np.arange(2**n)[:, None] >> np.arange(n)) & 1) - 1.0)
    for to in itertools.permutations(range(n)):
        x = np.stack([np.broadcast_to(np.array(to, dtype=float), corners.shape), corners], axis=2)
        got = evaluate(model, np.zeros(corners.shape, dtype=np.int64), x)[:, :, 0]
        assert np.abs(got[:, list(to)] - corners).max() < 1e-11


@pytest.mark.parametrize("n", [1, 2, 3, 5, 8, 16])
def test_packed_words_are_routed_by_data(n: int) -> None:
    """Two payloads, a round before and one behind, and the destination still there."""
    rng = np.random.default_rng(n)
    shift = Lane(1, tuple((i + 1) % n for i in range(n)))
    rounds = (Round((shift,), (own(0), received(0), own(2))), Route(0, (1, 2)), Round((), (own(0), own(2), own(1))))
    program = Program("route", n, 3, 3, rounds, (own(0), own(1), own(2)))
    x = np.stack([np.c_[rng.permutation(n), rng.uniform(-5, 5, (n, 2))] for _ in range(50)])
    built, depth = compile_packed(program, 5.0), (n - 1).bit_length()
    assert len(built.rounds) == 2 + 2 + max(1, depth * (depth + 1) // 2) and built.lanes == 2 * 3
    right = run(program, x)
    assert np.abs(run(built, x) - right).max() < 1e-11
    assert np.abs(evaluate(compile_direct(built), np.zeros((50, n), dtype=np.int64), x) - right).max() < 1e-11
    with pytest.raises(InputError, match="both destination and payload"):
        compile_packed(Program("r", 2, 2, 2, (Route(0, (0,)),)), 1.0)


@pytest.mark.parametrize("n", [2, 3, 4, 5])
def test_packed_words_take_every_permutation_of_every_corner(n: int) -> None:
    """Payloads at the ends of the range, where words of neighbouring destinations tie; beyond it some go astray."""
    bound = 4.0
    program, first = packed_route(n, bound)
    assert first.tolist() == [[2 * bound, 1.0], [1.0, 0.0]]
    model, beyond = compile_direct(program, first=first), False
    corners = bound * (2.0 * ((np.arange(2**n)[:, None] >> np.arange(n)) & 1) - 1.0)
    for to in itertools.permutations(range(n)):
        for size in (1.0, 1.25):
            x = np.stack([np.broadcast_to(np.array(to, dtype=float), corners.shape), size * corners], axis=2)
            got = evaluate(model, np.zeros(corners.shape, dtype=np.int64), x)[:, list(to), 0]
            if size == 1.0:
                assert (got == corners).all()
            beyond = beyond or np.abs(got - size * corners).max() > 1.0
    assert beyond


def test_the_factor_is_the_least_power_of_two_from_the_range_on() -> None:
    for bound in (0.5, 1.0, 2.0, 3.0, 1e-9, 1e8, 2.0 * (1 + 2.0**-52), 2.0 * (1 - 2.0**-53)):
        d = factor(bound)
        assert math.log2(d) % 1 == 0 and d / 2 < 2 * bound <= d
    assert factor(2.0) == 4.0 and factor(np.nextafter(2.0, 3.0)) == 8.0
