"""The head rounded after every operation: circuit against emulator, and the depth that does not depend on n."""

from __future__ import annotations

from dataclasses import replace
from itertools import product

import numpy as np
import pytest

from separatrix.core.errors import InputError
from separatrix.depth.compiler.paper import compile_norm, compile_paper, encoded
from separatrix.depth.evaluate import Evaluator
from separatrix.depth.reference import evaluate_plain
from separatrix.depth.report import random_rows
from separatrix.models.paper import PaperHead, PaperNorm, run_norm, run_paper
from separatrix.models.quantise import reference_model
from separatrix.models.rope import evaluate_rope
from separatrix.numbers import FloatFormat
from separatrix.numbers.floats import Number


def head_of(n: int, d: int, p: int, mask: str = "causal") -> PaperHead:
    return PaperHead.of(replace(reference_model(d), mask=mask), n, FloatFormat.paper(p))


@pytest.mark.parametrize(
    ("n", "d", "p", "mask"), [(2, 2, 2, "none"), (3, 2, 3, "causal"), (2, 4, 3, "none"), (2, 2, 4, "causal")]
)
def test_circuit_equals_emulator(n: int, d: int, p: int, mask: str) -> None:
    head, rng = head_of(n, d, p, mask), np.random.default_rng(n)
    circuit = compile_paper(head)
    circuit.check()
    inputs = [random_rows(head.form, n, d, rng, close=k % 4 > 0) for k in range(100)]
    inputs.append([[head.form.zero] * d] * n)
    inputs.append([[head.form.greatest] * d] * n)
    got = Evaluator(circuit)(np.array([encoded(head.form, x) for x in inputs]))
    want = [encoded(head.form, run_paper(head, x)) for x in inputs]
    assert got.reshape(len(inputs), -1).tolist() == want
    assert len({tuple(w) for w in want}) > 30


def test_every_pair_of_numbers_of_two_bits() -> None:
    head = head_of(1, 2, 2)
    inputs = [[list(pair)] for pair in product(head.form.members(), repeat=2)]
    bits = np.array([encoded(head.form, x) for x in inputs])
    want = [encoded(head.form, run_paper(head, x)) for x in inputs]
    assert evaluate_plain(compile_paper(head), bits, bounds=True).reshape(len(inputs), -1).tolist() == want


def test_depth_is_sixteen_at_every_length() -> None:
    assert {compile_paper(head_of(n, 2, 2)).depth for n in (2, 3, 5)} == {16}


def norm_of(form: FloatFormat, d: int, seed: int = 0) -> PaperNorm:
    """Gains of about 1 and biases of about 1/4."""
    m = np.random.default_rng(seed).integers(2 ** (form.p - 1), 2**form.p, (2, d)) * np.array([[1], [-1]])
    gain, bias = ([Number(int(x), 1 - form.p - shift) for x in row] for row, shift in zip(m, (0, 2), strict=True))
    return PaperNorm(tuple(gain), tuple(bias))


@pytest.mark.parametrize(("d", "p", "plain"), [(2, 2, True), (2, 3, False), (3, 3, True), (4, 3, False), (2, 4, False)])
def test_layer_normalisation_has_five_levels(d: int, p: int, plain: bool) -> None:
    form, rng = FloatFormat.paper(p), np.random.default_rng(d)
    norm = PaperNorm.plain(form, d) if plain else norm_of(form, d)
    circuit = compile_norm(form, norm)
    circuit.check()
    assert circuit.depth == 5
    rows = [random_rows(form, 1, d, rng, close=k % 4 > 0)[0] for k in range(300)]
    rows += [[form.zero] * d, [form.greatest] * d, [form.round(1)] * d]  # no variance at all
    rows += [[Number(2 ** (p - 1) + k % 2, form.low + k % 3) for k in range(d)]]  # a variance that underflows
    got = Evaluator(circuit)(np.array([encoded(form, [row]) for row in rows])).reshape(len(rows), -1)
    want = [encoded(form, [run_norm(form, norm, row)]) for row in rows]
    assert got.tolist() == want and len({tuple(w) for w in want}) > 20


def test_every_pair_of_numbers_of_two_bits_normalised() -> None:
    form = FloatFormat.paper(2)
    circuit = compile_norm(form, norm := norm_of(form, 2))
    rows = list(product(form.members(), repeat=2))
    got = evaluate_plain(circuit, np.array([encoded(form, [row]) for row in rows]), bounds=True)
    assert got.reshape(len(rows), -1).tolist() == [encoded(form, [run_norm(form, norm, row)]) for row in rows]


def test_a_head_and_its_norm_have_twenty_levels_and_equal_the_emulator() -> None:
    rng, head = np.random.default_rng(0), head_of(2, 2, 3)
    head = replace(head, norm=norm_of(head.form, 2))
    circuit = compile_paper(head)
    inputs = [random_rows(head.form, 2, 2, rng, close=k % 4 > 0) for k in range(100)]
    got = Evaluator(circuit)(np.array([encoded(head.form, x) for x in inputs])).reshape(100, -1)
    assert circuit.depth == 20 and got.tolist() == [encoded(head.form, run_paper(head, x)) for x in inputs]


def test_normalised_rows_approach_real_ones() -> None:
    form, rng = FloatFormat.paper(12), np.random.default_rng(0)
    for row in rng.integers(-40, 41, (20, 4)):
        got = [float(x.value) for x in run_norm(form, PaperNorm.plain(form, 4), [form.round(int(v)) for v in row])]
        assert np.abs(got - (row - row.mean()) / row.std()).max() < 0.01


def test_more_bits_approach_real_numbers() -> None:
    model, rng = reference_model(2), np.random.default_rng(0)
    errors = []
    for p in (3, 12):
        head = PaperHead.of(model, 3, FloatFormat.paper(p))
        x = rng.integers(-4, 5, (3, 2)) / 4
        rows = [[head.form.round(round(v * 4)) for v in row] for row in x]
        rows = [[number._replace(e=number.e - 2) if number.m else number for number in row] for row in rows]
        got = np.array([[float(number.value) for number in row] for row in run_paper(head, rows)])
        errors.append(np.abs(got - evaluate_rope(model, x[None])[0]).max())
    assert errors[1] < 0.01
    assert errors[0] > errors[1]


def test_what_is_too_large_or_not_done_is_refused() -> None:
    with pytest.raises(InputError, match=r"F_2 to F_5; in F_6 this one would have about .* gates"):
        compile_paper(head_of(2, 2, 6))
    with pytest.raises(InputError, match="more than"):
        compile_paper(head_of(40, 4, 3))
    with pytest.raises(InputError, match="one attention layer"):
        PaperHead.of(reference_model(4, 2), 2, FloatFormat.paper(3))
