"""Facts that the papers print about constructions, each with the test that shows it: here, or named in `WHERE`."""

from __future__ import annotations

import ast
import itertools
import math
from pathlib import Path

import numpy as np
import pytest
import torch

from separatrix.can import registry
from separatrix.can.codes import random_signs
from separatrix.can.programs import library
from separatrix.can.programs.direct import compile_direct
from separatrix.can.programs.program import run
from separatrix.learn.experiments.positional_scale import depth
from separatrix.models import evaluate, nets
from separatrix.tasks.dyck import Dyck
from separatrix.tasks.equality import Equality

TESTS = Path(__file__).parents[1]
HERE = "can/test_facts.py"
WHERE = {
    # Bhattamishra, Hahn, Blunsom, Kanade 2024
    "odd positions determine even ones in Dyck-(n,2), not in depth 3": (HERE, "test_odd_positions_determine_even_ones"),
    "8 states of Dyck-(2,2), the lost one included": (HERE, "test_the_least_automaton"),
    "eta = 2 ln 3N": ("can/test_index_lookup_codes.py", "test_weights_of_the_paper"),
    "k = 128 ln 2N": (HERE, "test_code_widths_of_the_paper"),
    "289 chirps in 34 dimensions": ("can/test_codes.py", "test_chirps_of_17_are_as_published"),
    "least weight 0.99681 at N = 256; 3/4 from eta = 7.602 on": (
        "can/test_index_lookup_codes.py",
        "test_weights_of_the_paper",
    ),
    "quadratic keys at eta = 2, 2.2, 3, 4": ("can/test_index_lookup_codes.py", "test_quadratic_key_weights"),
    "equality at N = 12: right on 4,096 inputs": (HERE, "test_equality_on_every_input"),
    "Dyck-(2,2) in two layers at N = 8: right on 65,536 inputs": (HERE, "test_dyck_on_every_input"),
    "temperatures of nearest neighbour": (HERE, "test_nearest_neighbour_temperatures"),
    # Back de Luca, Giapitzakis, Yang, Velickovic, Fountoulakis 2025
    "attention is the same for every input, and rows sum to 1": (
        "can/programs/test_programs.py",
        "test_attention_ignores_the_input_and_leaks_little",
    ),
    "2, 3, 4, 5, 6 layers at n = 2, 4, 8, 16, 32": (HERE, "test_depths_of_the_experiments"),
    "N + 1 nodes, 2 R ceil(log2 N) layers, 2 s heads": (
        "can/programs/test_programs.py",
        "test_benes_back_end_meets_the_budget_of_the_theorem",
    ),
    "depths of prefix sums and of sorting": ("can/programs/test_programs.py", "test_sizes"),
    "mean squared error at scale 10 in float32": (HERE, "test_errors_at_scale_10_in_float32"),
    "what leaks at beta": (HERE, "test_what_leaks_at_beta"),
    "f(c x) = c f(x)": ("can/programs/test_programs.py", "test_homogeneous"),
}


@pytest.mark.parametrize("fact", WHERE)
def test_every_fact_has_its_test(fact: str) -> None:
    file, name = WHERE[fact]
    tree = ast.parse((TESTS / file).read_text())
    assert name in {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)}


def language(types: int, most: int, n: int) -> np.ndarray:
    """The words of Dyck-(types, most) of n brackets."""
    words = np.array(list(itertools.product(range(2 * types), repeat=n)))
    ends = np.full((len(words), 1), 2 * types)
    return words[Dyck(types, most).answer(np.concatenate([words, ends], axis=1))[:, 0] == 1]


@pytest.mark.parametrize(
    ("types", "most", "n", "unique"),
    [
        *((t, d, n, True) for t, d in ((2, 2), (1, 2), (2, 1)) for n in (2, 4, 6)),
        (1, 2, 8, True),
        (3, 2, 4, True),
        (2, 3, 6, False),
        (1, 3, 6, False),
        (1, 3, 8, False),
    ],
)
def test_odd_positions_determine_even_ones(types: int, most: int, n: int, unique: bool) -> None:
    words = language(types, most, n)
    assert (len({tuple(row) for row in words[:, ::2].tolist()}) == len(words)) == unique


@pytest.mark.parametrize(("types", "most", "states"), [(2, 2, 8), (1, 2, 4), (2, 10, 2048)])
def test_the_least_automaton(types: int, most: int, states: int) -> None:
    """States told apart by some word, by refinement; the paper counts one less, without the lost one."""
    table = Dyck(types, most).automaton()
    kind = (np.arange(len(table)) == 0).astype(np.int64)
    for _ in range(len(table)):
        finer = np.unique(np.concatenate([kind[:, None], kind[table]], axis=1), axis=0, return_inverse=True)[1]
        finer = finer.reshape(-1)
        if finer.max() == kind.max():
            break
        kind = finer
    assert kind.max() + 1 == len(table) == states
    assert math.ceil(math.log2(states)) == {8: 3, 4: 2, 2048: 11}[states]


def test_code_widths_of_the_paper() -> None:
    """(8 / gamma^2) ln 2N at gamma = 1/4, at which random signs have all inner products below 1/4."""
    for n, k in ((20, 473), (50, 590), (100, 679), (200, 767), (400, 856), (1000, 973), (10**4, 1268)):
        assert abs(128 * math.log(2 * n) - k) < 1
        if n <= 400:
            codes = random_signs(n, k).astype(np.float64)
            assert np.abs(codes @ codes.T - np.diag(np.diag(codes @ codes.T))).max() <= 0.25


def test_equality_on_every_input() -> None:
    task, n = Equality(2), 12
    words = np.array(list(itertools.product(range(2), repeat=n)))
    found = evaluate(registry.get("equality-two-layer").build(task, n), words, queries=[n - 1])
    assert len(words) == 4096 and (found.argmax(axis=2) == task.answer(words)).all()


def test_dyck_on_every_input() -> None:
    task, n = Dyck(2, 2), 8
    words = np.array(list(itertools.product(range(4), repeat=n)))
    words = np.concatenate([words, np.full((len(words), 1), 4)], axis=1)
    model = registry.get("dyck-two-layer").build(task, n)
    assert len(words) == 65_536
    for part in np.array_split(words, 16):
        found = evaluate(model, part, queries=list(task.queries(n)))
        assert (found.argmax(axis=2) == task.answer(part)).all()


@pytest.mark.parametrize(("margin", "n", "eta"), [(1 / 3, 32, 23.8), (0.1, 100, 93.7), (0.1, 1000, 122.5)])
def test_nearest_neighbour_temperatures(margin: float, n: int, eta: float) -> None:
    """(5 / (4 gamma)) ln 18N; 2N others that score 4/5 gamma less then leave the nearest a weight of 9/10."""
    exact = 5 / (4 * margin) * math.log(18 * n)
    assert exact == pytest.approx(eta, abs=0.06)
    assert 1 / (1 + 2 * n * math.exp(-exact * 0.8 * margin)) == pytest.approx(0.9)


def test_depths_of_the_experiments() -> None:
    assert [depth(n) for n in (2, 4, 8, 16, 32)] == [2, 3, 4, 5, 6]


@pytest.mark.parametrize("n", [8, 64])
@pytest.mark.parametrize("name", ["prefix_sums", "prefix_minima", "sort"])
def test_errors_at_scale_10_in_float32(name: str, n: int) -> None:
    """Below 1e-10, from beta = 50 on."""
    program = getattr(library, name)(n)
    x = np.random.default_rng(0).uniform(-20, 20, (200, n, 1)).astype(np.float32)
    for beta in (50.0, 128.0):
        with torch.no_grad():
            got = nets.load(compile_direct(program, beta), torch.float32)(None, torch.from_numpy(x)).numpy()
        assert ((got - run(program, x)) ** 2).mean() < 1e-10


def test_what_leaks_at_beta() -> None:
    """(n - 1) e^-beta of a row; a mean squared error near 1e-6 at beta = 10 and n = 8, 1e-14 at 20."""
    n, x = 8, np.random.default_rng(0).uniform(-2, 2, (400, 8, 1))
    tokens = np.zeros((400, n), dtype=np.int64)
    for beta, most in ((10.0, 1e-5), (20.0, 1e-13)):
        for name in ("prefix_sums", "prefix_minima", "sort"):
            program = getattr(library, name)(n)
            error = ((evaluate(compile_direct(program, beta), tokens, x) - run(program, x)) ** 2).mean()
            assert most * 1e-4 < error < most, (name, beta)
