"""How wide random keys must be for dual certificates (Sanford et al. 2023, Theorem 2): sampled sets, so no proofs."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.optimize import linprog

from separatrix.can.codes import random_signs
from separatrix.core.seeds import child


def least_norm_off_score(keys: np.ndarray, pointers: np.ndarray) -> float:
    """The greatest score of another key under the least-norm certificate."""
    scores = keys @ np.linalg.lstsq(keys[pointers], np.ones(len(pointers)), rcond=None)[0]
    return float(np.delete(scores, pointers).max())


def one_sided_margin(keys: np.ndarray, pointers: np.ndarray) -> float:
    """1 - min_w max_{j not in y} <u_j, w> subject to <u_i, w> = 1 on y: a linear program; infinite if unbounded."""
    others = np.delete(keys, pointers, axis=0)
    m = keys.shape[1]
    result = linprog(
        np.r_[np.zeros(m), 1.0],
        A_ub=np.c_[others, -np.ones(len(others))],
        b_ub=np.zeros(len(others)),
        A_eq=np.c_[keys[pointers], np.zeros(len(pointers))],
        b_eq=np.ones(len(pointers)),
        bounds=(None, None),
    )
    return np.inf if result.status == 3 else 1.0 - result.fun


@pytest.mark.parametrize(("q", "m"), [(2, 186), (4, 404), (8, 794)])
def test_width_grows_like_14_q_ln_n_at_margin_one_half(q: int, m: int) -> None:
    """At the published width the greatest of 100 sampled sets lies near 1/2; at half of it well above."""
    rng = child(0, "least-norm", q)
    worst = {}
    for width in (m, m // 2):
        keys = random_signs(1024, width, seed=1).astype(np.float64)
        sets = [rng.choice(1024, q, replace=False) for _ in range(100)]
        worst[width] = max(least_norm_off_score(keys, y) for y in sets)
    assert worst[m] == pytest.approx(0.5, abs=0.12)
    assert worst[m // 2] > worst[m] + 0.1


def test_one_sided_certificates_need_only_a_few_q_numbers() -> None:
    """N = 128, q = 4: least margins over 15 sets near 0, .25, .42, .59, .85 at m = 16, 24, 32, 48, 64.

    They vary by some .15 from code to code; at m near N/2 the program may be unbounded (any margin).
    """
    rng = child(0, "one-sided")
    found = []
    for m in (16, 24, 32, 48, 64):
        keys = random_signs(128, m, seed=0).astype(np.float64)
        least = min(one_sided_margin(keys, rng.choice(128, 4, replace=False)) for _ in range(15))
        found.append(min(max(least, 0.0), 1.0))
    assert np.allclose(found, [0.0, 0.25, 0.42, 0.59, 0.85], atol=0.2), found
    assert found == sorted(found)
