"""The head rounded after every operation: circuit against emulator, and the depth that does not depend on n."""

from __future__ import annotations

from dataclasses import replace
from itertools import product

import numpy as np
import pytest

from separatrix.core.errors import InputError
from separatrix.depth.compiler.paper import compile_paper, encoded
from separatrix.depth.evaluate import Evaluator
from separatrix.depth.reference import evaluate_plain
from separatrix.depth.report import random_rows
from separatrix.models.paper import PaperHead, run_paper
from separatrix.models.quantise import reference_model
from separatrix.models.rope import evaluate_rope
from separatrix.numbers import FloatFormat


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
