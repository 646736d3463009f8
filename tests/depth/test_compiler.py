"""The compiled circuit against the emulator and a second emulator in fractions: every input where small."""

from __future__ import annotations

from dataclasses import replace
from itertools import product

import numpy as np
import pytest

from depth.slow import random_network, slow_run
from separatrix.core.errors import InputError
from separatrix.depth.compiler import compile_network, estimate
from separatrix.depth.compiler.network import estimate_head
from separatrix.depth.evaluate import Evaluator, pack
from separatrix.depth.measure import measure
from separatrix.depth.reference import evaluate_plain
from separatrix.models.quantise import Recipe, quantise, reference_head, reference_model
from separatrix.models.quantised import Heads, Quantised, Scores, run
from separatrix.models.rope import Affine, LayerNorm, RopeTransformer
from separatrix.numbers import FixedFormat

KINDS = ["s", "a", "u", "S", "A", "U", "m", "r", "R", "n", "sm", "us", "sR", "nS", "na", "mn", "rn"]
DEPTH = {"s": 4, "a": 4, "u": 4, "S": 5, "A": 5, "U": 5, "m": 1, "r": 2, "R": 2, "n": 2}


def lanes_of(network: Quantised, count: int, seed: int = 0) -> np.ndarray:
    """Corner inputs (all equal, extremes, one different) and random ones."""
    rng = np.random.default_rng(seed)
    bits = rng.integers(0, 2, (count, network.input_bits))
    bits[0], bits[1] = 0, 1
    bits[2 : count // 4] &= rng.integers(0, 2, (count // 4 - 2, network.input_bits))
    same = np.tile(bits[count // 4 : count // 3, : network.input_bits // network.n], network.n)
    bits[count // 4 : count // 3] = same
    return bits


@pytest.mark.parametrize("kinds", KINDS)
@pytest.mark.parametrize("seed", [0, 1])
def test_circuit_equals_both_emulators(kinds: str, seed: int) -> None:
    network = random_network(seed, kinds, d=3 if "n" in kinds else 2)
    circuit = compile_network(network)
    circuit.check()
    bits = lanes_of(network, 96, seed)
    values = network.numbers_of(bits)
    want = run(network, values)
    assert (evaluate_plain(circuit, bits, bounds=True) == want).all()
    for lane in range(0, 96, 4):
        assert slow_run(network, values[lane]) == want[lane].tolist()
    stated = sum(DEPTH[k] for k in kinds)
    assert circuit.depth == stated if len(kinds) == 1 else circuit.depth <= stated  # a layer may fold to constants


@pytest.mark.parametrize("kinds", ["s", "a", "u", "n", "R"])
def test_circuit_equals_the_emulator_on_every_input(kinds: str) -> None:
    network = random_network(5, kinds, n=3, d=2, bits=2 if kinds in "au" else 3)
    if kinds in "nR":
        network = random_network(5, kinds, n=2, d=3, bits=2)
    evaluator = Evaluator(compile_network(network))
    for start, got in evaluator.exhaustive():
        lanes = start + np.arange(len(got))
        bits = lanes[:, None] >> np.arange(network.input_bits) & 1
        assert (got == run(network, network.numbers_of(bits))).all()


@pytest.mark.parametrize(
    "options",
    [
        {"symbols": 3}, {"symbols": 5, "classes": 3}, {"queries": (2,)}, {"symbols": 2, "queries": (1,), "classes": 2},
        {"signed": False},
    ],
)  # fmt: skip
@pytest.mark.parametrize("kinds", ["s", "aR", "uS"])
def test_tokens_queries_and_logits(kinds: str, options: dict) -> None:
    network = random_network(3, kinds, **options)
    circuit = compile_network(network)
    bits = lanes_of(network, 64)
    values = network.numbers_of(bits)
    want = run(network, values)
    assert (evaluate_plain(circuit, bits, bounds=True) == want).all()
    assert [slow_run(network, values[k]) for k in range(8)] == want[:8].tolist()
    assert circuit.output_shape == want.shape[1:]


def test_inputs_and_numbers_are_inverse() -> None:
    for network in (random_network(0, "s"), random_network(0, "s", symbols=4)):
        bits = lanes_of(network, 40)
        assert (network.bits_of(network.numbers_of(bits)) == bits).all()


@pytest.mark.parametrize(("n", "d", "p"), [(4, 4, 3), (8, 4, 3), (8, 2, 4)])
def test_reference_heads_have_depth_four(n: int, d: int, p: int) -> None:
    network = reference_head(n, d, p)
    circuit = compile_network(network)
    bits = lanes_of(network, 120)
    assert (Evaluator(circuit)(bits) == run(network, network.numbers_of(bits))).all()
    assert circuit.depth == 4
    guess = estimate(network)
    assert guess.gates <= estimate_head(n, d, p, 1).gates  # weights that round to zero are not counted
    assert guess.bytes >= 0.8 * estimate_head(n, d, p, 1).bytes
    assert circuit.gates <= guess.gates
    assert len(circuit.term_wire) + len(circuit.part_form) <= guess.terms
    assert len(np.unique(run(network, network.numbers_of(bits)))) >= 2**p - 2, "the head must use its range"


def test_gates_grow_with_the_square_of_the_length_and_depth_does_not() -> None:
    sizes = {n: measure(compile_network(reference_head(n))) for n in (4, 8, 16, 32)}
    assert {m.depth for m in sizes.values()} == {4}
    ns = np.log([4, 8, 16, 32])
    slope = np.polyfit(ns, np.log([m.gates for m in sizes.values()]), 1)[0]
    assert 1.9 <= slope <= 2.1


def test_two_layers_with_maps_and_normalisation_from_real_weights() -> None:
    rng = np.random.default_rng(0)
    model = reference_model(2, 1)
    maps = Affine(rng.standard_normal((2, 3)), rng.standard_normal(3), rng.standard_normal((3, 2)), residual=True)
    model = RopeTransformer(
        model.theta, (*model.blocks, maps, LayerNorm(np.ones(2), np.zeros(2)), *model.blocks), "causal"
    )
    network = quantise(model, 3, FixedFormat(3, 1), Recipe(score_bits=3))
    bits = lanes_of(network, 200)
    circuit = compile_network(network)
    assert (Evaluator(circuit)(bits) == run(network, network.numbers_of(bits))).all()
    assert circuit.depth == 4 + 2 + 2 + 4


def test_rotations_cost_no_level_and_no_gate() -> None:
    """Without rotations depth and operations are the same; counts differ only where weights vanish or coincide."""
    model = reference_model(4)
    still = replace(model, theta=np.zeros(2))
    counts = [measure(compile_network(quantise(m, 8, FixedFormat(3, 1)))) for m in (model, still)]
    assert counts[0].depth == counts[1].depth
    assert {name for name, *_ in counts[0].operations} == {name for name, *_ in counts[1].operations}
    a, b = counts[0].gates, counts[1].gates
    assert abs(a - b) <= 0.05 * a


def faults(kinds: str, flips: int, samples: int) -> tuple[int, int, int]:
    """(flips, harmless on every input, caught on the sample of inputs) of single faults in a compiled head."""
    network = random_network(7, kinds, n=3, d=2, bits=2)
    circuit = compile_network(network).flat()
    lanes = np.array(list(product([0, 1], repeat=network.input_bits)))
    assert (Evaluator(circuit)(lanes) == run(network, network.numbers_of(lanes))).all()
    loose = np.full(circuit.forms, 2**20)  # the bounds of a broken circuit are not those of the sound one
    circuit = replace(circuit, form_low=-loose, form_high=loose)
    rng = np.random.default_rng(0)
    chosen = rng.choice(len(lanes), samples, replace=False)
    packed, harmless, caught = pack(lanes), 0, 0
    want = Evaluator(circuit, threads=1).planes(packed)
    for flip in range(flips):
        name = "gate_threshold" if flip % 2 else "term_weight"
        bent = getattr(circuit, name).copy()
        bent[rng.integers(len(bent))] ^= 1 << int(rng.integers(0, 4))  # one bit
        got = Evaluator(replace(circuit, **{name: bent}), threads=1).planes(packed)
        wrong = np.unpackbits(np.bitwise_or.reduce(got ^ want, axis=0).view(np.uint8), bitorder="little")
        harmless += not wrong.any()
        caught += wrong[chosen].any()
    return flips, int(harmless), int(caught)


def test_one_bit_faults_are_caught_or_harmless() -> None:
    """One bit of a threshold or weight is flipped; what 2048 random inputs do not show is harmless on all 4096."""
    flips, harmless, caught = faults("s", 120, 2048)
    assert caught + harmless >= 0.99 * flips
    assert caught >= 0.4 * flips


@pytest.mark.slow
@pytest.mark.parametrize("kinds", ["s", "a", "u"])
def test_a_thousand_one_bit_faults(kinds: str) -> None:
    flips, harmless, caught = faults(kinds, 1000, 2048)
    assert caught + harmless >= 0.99 * flips


def test_what_cannot_be_compiled_is_refused_in_a_sentence() -> None:
    with pytest.raises(InputError, match="GiB to build"):
        compile_network(reference_head(64), memory=2**20)
    with pytest.raises(InputError, match="at most 12 bits"):
        Quantised(2, 2, FixedFormat(13), ())
    good = random_network(0, "s")
    layer = good.layers[0]
    assert isinstance(layer, Heads)
    with pytest.raises(InputError, match="several heads"):
        replace(good, layers=(replace(layer, scores=layer.scores * 2),))
    with pytest.raises(InputError, match="positive integers"):
        replace(good, layers=(replace(layer, scores=(Scores(layer.scores[0].score, 0, 0, (0, 1)),)),))
    with pytest.raises(InputError, match="nothing to read"):
        replace(good, layers=(replace(layer, mask=layer.mask & False),))


@pytest.mark.slow
def test_large_heads() -> None:
    for n, d, p, layers in [(64, 4, 4, 1), (32, 4, 3, 2)]:
        network = reference_head(n, d, p, layers)
        circuit = compile_network(network)
        bits = lanes_of(network, 192)
        assert circuit.depth == 4 * layers
        assert (Evaluator(circuit)(bits) == run(network, network.numbers_of(bits))).all()
