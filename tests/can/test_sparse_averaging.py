"""Sparse averaging: margins in closed form, known numbers, models right, certified and of the stated size."""

import math
from itertools import combinations, pairwise

import numpy as np
import pytest

from separatrix.can import registry
from separatrix.can.codes import chirps, random_signs
from separatrix.can.pointer_parts import temperature
from separatrix.can.witnesses import sparse_averaging_chirp as chirp
from separatrix.can.witnesses import sparse_averaging_moment as moment
from separatrix.can.witnesses import sparse_averaging_random as random
from separatrix.can.witnesses import sparse_averaging_trigonometric as trigonometric
from separatrix.core.errors import InputError
from separatrix.models import evaluate
from separatrix.tasks.sparse_averaging import SparseAveraging
from separatrix.verify.provers import certify

SIZES = {  # witness: (N, q, dim)
    "onehot": ((1, 1, 1), (2, 1, 3), (4, 4, 1), (9, 3, 2), (24, 5, 1), (128, 4, 1)),
    "random": ((1, 1, 1), (5, 5, 1), (8, 2, 2), (12, 3, 1), (40, 2, 1), (1024, 2, 1)),
    "chirp": ((60, 2, 1), (64, 2, 2), (300, 4, 1), (1024, 4, 1)),
    "trigonometric": ((1, 1, 1), (4, 4, 1), (8, 2, 1), (12, 3, 2), (20, 4, 1), (100, 2, 1)),
    "moment": ((1, 1, 1), (4, 4, 1), (8, 2, 1), (12, 3, 2), (40, 4, 1), (500, 8, 1)),
    "circle": ((1, 1, 1), (2, 1, 2), (4, 4, 1), (12, 3, 2), (64, 6, 1), (512, 3, 1)),
}
CASES = [(name, *size) for name, sizes in SIZES.items() for size in sizes]


@pytest.mark.parametrize(("name", "n", "q", "dim"), CASES)
def test_built_models_are_certified_right_and_of_the_stated_size(name, n, q, dim):
    task, witness = SparseAveraging(q=q, dim=dim), registry.get(f"sparse-averaging-{name}")
    model, size = witness.build(task, n), witness.size(task, n)
    assert witness.method == "pointer-sets"
    assert model.size(n, size.precision) == size
    outcome = certify(model, task, n)
    assert outcome.verdict == "proved", outcome.sentence
    if n <= 128:
        for distribution in ("uniform", "signs"):
            tokens, reals = task.sample(n, 2, np.random.default_rng(n), distribution)
            off = np.linalg.norm(evaluate(model, tokens, reals) - task.answer(tokens, reals), axis=2)
            assert off.max() <= task.eps


def test_the_example_of_the_task_is_answered():
    task = SparseAveraging(q=2, eps=1e-6)
    z = np.array([[3, 1, 4, 1, 5, 9.0]])[..., None] / 9
    y = np.array([[[1, 2], [0, 5], [3, 4], [0, 1], [2, 5], [1, 4]]])
    for name in ("onehot", "random", "trigonometric", "moment", "circle"):
        model = registry.get(f"sparse-averaging-{name}").build(task, 6)
        assert np.allclose(evaluate(model, y, z)[0, :, 0] * 9, [2.5, 6, 3, 2, 6.5, 3], atol=1e-5)


@pytest.mark.parametrize(
    ("n", "q"), [(n, q) for n in range(2, 13) for q in range(1, n) if math.comb(n, q) <= 1000] + [(20, 3), (40, 2)]
)
def test_least_trigonometric_margin_is_the_closed_form(n, q):
    theta = 2 * np.pi * np.arange(n) / n
    factor = (1 - np.cos(theta[:, None] - theta)) / 2
    worst = min(
        factor[[j for j in range(n) if j not in y]][:, list(y)].prod(axis=1).min() for y in combinations(range(n), q)
    )
    assert trigonometric.least_margin(n, q) == pytest.approx(worst, rel=1e-12)


def test_trigonometric_margins_and_temperatures():
    for (n, q), margin in {(8, 2): 2.144661e-2, (10, 3): 3.150408e-3, (12, 4): 2.804561e-4}.items():
        assert trigonometric.least_margin(n, q) == pytest.approx(margin, rel=1e-6)
    table = {(32, 2): 16.4, (32, 4): 25.7, (128, 4): 41.9, (128, 8): 70.3, (1024, 8): 118.6, (1024, 16): 209.2}
    for (n, q), bits in table.items():
        assert math.log2(trigonometric.alpha(SparseAveraging(q=q), n, share=1.0)) == pytest.approx(bits, abs=0.05)
    assert trigonometric.least_margin(5, 5) == math.inf


def test_moment_margins_are_products_of_factorials():
    for n, q, expected in ((8, 2, 1), (10, 3, 4), (12, 4, 16), (9, 3, 4)):
        squares = (np.arange(n)[:, None] - np.arange(n)) ** 2
        worst = min(
            squares[[j for j in range(n) if j not in y]][:, list(y)].prod(axis=1).min()
            for y in combinations(range(n), q)
        )
        assert worst == expected == moment.least_margin(n, q) >= 1


def test_sufficient_temperatures():
    """(1/gamma) ln(2 (N - q)/(q eps)) = 20.3 at (1024, 8, .01, 1/2); the looser 2 ln(4N/eps) is 25.85."""
    assert temperature(SparseAveraging(q=8), 1024, 0.5, share=1.0) == pytest.approx(20.3, abs=0.05)
    assert 2 * math.log(4 * 1024 / 0.01) == pytest.approx(25.85, abs=0.01)


@pytest.mark.parametrize(
    ("n", "q", "m", "off"),
    [(12, 2, 24, 0.85), (12, 2, 48, 0.62), (12, 3, 48, 0.87), (16, 3, 64, 0.70), (16, 3, 96, 0.60), (16, 3, 128, 0.56)],
)
def test_random_keys_score_as_expected(n, q, m, off):
    """Best of 3 seeds; draws differ by 0.2."""
    best = min(random.worst_score(random_signs(n, m, seed).astype(np.float64), q) for seed in range(3))
    assert best == pytest.approx(off, abs=0.25)
    for seed in range(3):
        keys = random_signs(n, m, seed).astype(np.float64)
        norms = [np.linalg.norm(np.linalg.pinv(keys[list(y)]) @ np.ones(q)) for y in combinations(range(n), q)]
        assert max(norms) < 2 * math.sqrt(q)


def test_babel_widths_of_random_and_chirp_codes():
    """N = 1024: random keys need 534, 1958 for q = 2, 4 (others at most 1/2); chirps 74, 254, 1082, one-hot 1024."""
    for q, m in ((2, 534), (4, 1958)):
        assert random.babel(random_signs(1024, round(1.2 * m)).astype(np.float64), q) <= 0.5
        assert random.babel(random_signs(1024, round(0.6 * m)).astype(np.float64), q) > 0.5
    for q, m in ((2, 74), (4, 254), (8, 1082)):
        p = next(p for p in chirp.odd_primes(32) if chirp.off_score(1024, q, p) <= 0.5)
        assert 2 * p == m
    assert chirp.prime(1024, 8) == 0
    for n, q, p in ((100, 2, 29), (300, 3, 67), (1024, 2, 37), (500, 2, 29)):
        measured = random.babel(chirps(n, p).astype(np.float64), q)
        assert measured <= chirp.off_score(n, q, p) <= measured + 0.25


def test_sufficient_primes_suffice():
    """P >= max(sqrt N, (3q - 1)^2) gives 1/2, but for what the grid adds at the edge."""
    for q in (1, 2, 3):
        p = next(chirp.odd_primes((3 * q - 1) ** 2 + 1))
        assert chirp.off_score(p * p, q, p) <= 0.5


def test_rounding_queries_costs_a_factor_four_for_two_bits():
    rng, n, q, m = np.random.default_rng(0), 64, 4, 400
    keys = random_signs(n, m).astype(np.float64)
    losses = []
    for bits in (4, 6, 8, 10, 12):
        loss = 0.0
        for _ in range(40):
            y = rng.choice(n, q, replace=False)
            w = 2 * math.log(2 * n / (q * 0.01)) * np.linalg.pinv(keys[y]) @ np.ones(q)
            weights = [np.exp(keys @ v) / np.exp(keys @ v).sum() for v in (w, np.rint(w * 2**bits) / 2**bits)]
            loss = max(loss, np.abs(weights[0] - weights[1]).sum())
        losses.append(loss)
    assert all(2.5 < a / b < 6 for a, b in pairwise(losses))


def test_what_is_out_of_reach_is_refused_with_a_way_out():
    for name, n, q, word in (
        ("trigonometric", 1024, 8, "sparse-averaging-moment"),
        ("trigonometric", 10**4, 40, "sparse-averaging-moment"),
        ("chirp", 32, 4, "sparse-averaging-onehot"),
        ("random", 1024, 8, "sparse-averaging-onehot"),
        ("onehot", 5000, 2, "4096"),
        ("moment", 3, 4, "n = 3"),
    ):
        with pytest.raises(InputError, match=word):
            registry.get(f"sparse-averaging-{name}").build(SparseAveraging(q=q), n)


@pytest.mark.parametrize(("n", "q"), [(16, 3), (128, 4), (128, 6)])
def test_moment_models_are_evaluated_exactly_where_integers_outgrow_float64(n: int, q: int) -> None:
    task = SparseAveraging(q=q)
    model = registry.get("sparse-averaging-moment").build(task, n)
    tokens, reals = task.sample(n, 1, np.random.default_rng(n))
    error = evaluate(model, tokens, reals, queries=range(8)) - task.answer(tokens, reals)[:, :8]
    assert np.abs(error).max() <= 0.01
