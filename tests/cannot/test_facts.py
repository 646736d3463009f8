"""Numbers that the papers and their digests print: message counts, Fano forms, VC dimensions, thresholds."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest

from separatrix.cannot import messages, registry
from separatrix.cannot.average import guessed_bits, least_error, recall_bits, symbol_bits
from separatrix.cannot.engine.vc import discrepancy_bits, split_vc, vc_capacity, vc_dimension
from separatrix.core.domain import Labels, Sequence
from separatrix.core.errors import InputError
from separatrix.core.size import Precision, Size
from separatrix.core.task import Task
from separatrix.tasks import make_task


@pytest.mark.parametrize(("n", "most"), [
    (10**2, 0.85), (400, 3.27), (10**3, 7.94), (10**4, 73.6), (10**5, 686), (10**6, 6419),
])  # fmt: skip
def test_one_layer_dyck_at_32_bits(n: int, most: float) -> None:
    """m H >= (N - 1) / (3 (p + log2 N)), Bhattamishra et al. 2024, Theorem 5."""
    bits = registry.get("dyck-one-layer").bits(make_task("dyck"), n)
    assert bits == n - 1
    assert messages.least_heads_times_width(bits, 32, n) == pytest.approx(most, rel=7e-3)


def test_the_audited_count_against_the_printed_one() -> None:
    """35 400 bits if numerators go both ways, against 31 214 as printed; one way it stays below."""
    n, p, h, m = 400, 32, 4, 64
    both = m * p + h * (4 * m * p + 4 * p + 2 * math.ceil(math.log2(n)))
    assert both == 35_400 and round(messages.printed(h, m, p, n).bits) == 31_214
    audited = messages.audited(h, m, m, p, n)
    assert (
        audited.bits == m * p + h * (2 * m * p + 4 * p + 2 * 9) <= messages.printed(h, m, p, n).bits and audited.exact
    )
    assert audited.bits == Size(1, h, m, m, m, n, None, None, Precision(32, "fixed")).bits("cut")


@pytest.mark.parametrize(("p", "n", "least"), [(32, 400, 5.6), (64, 100, 13.5)])
def test_the_width_from_which_the_audited_count_stays_below(p: int, n: int, least: float) -> None:
    """d p + H (2 m p + 4 p + 2 ceil(log2 N)) <= 3 m H (p + log2 N) once m >= (4 p + 2 ceil) / (3 log2 N)."""
    assert (4 * p + 2 * math.ceil(math.log2(n))) / (3 * math.log2(n)) == pytest.approx(least, abs=0.1)
    for m in range(math.ceil(least), 40):
        assert messages.audited(1, m, m, p, n).bits <= messages.printed(1, m, p, n).bits
    m = math.floor(least) - 1
    assert messages.audited(1, m, m, p, n).bits > messages.printed(1, m, p, n).bits


def test_messages_of_other_architectures() -> None:
    assert messages.state(128, 64).bits == 8192
    assert messages.one_way(4, 8, 16).bits == 4 * 9 * 16
    assert [round(messages.fixed_point(h, d, 8, 512).bits) for h, d in ((1, 16), (8, 9))] == [
        17 + 16 * 25,
        8 * (17 + 9 * 25),
    ]
    assert messages.accumulated(10, 512) == (19, 29)
    assert messages.kernel_attention(2, 16, 8, 32).bits == 2 * 16 * 9 * 32
    assert messages.sliding_window(3, 128, 2, 16, 16, 8).bits == 3 * 128 * 2 * 32 * 8
    assert messages.positional(2, 8, 32).bits == 512 and messages.embedding(64, 16).bits == 1024
    assert messages.higher_order(3) is None and messages.feed_forward(40).bits == 40


@pytest.mark.parametrize(("n", "p", "least"), [(1025, 8, 64), (65537, 16, 2048), (1000001, 32, 15625)])
def test_match3_by_disjointness_prints(n: int, p: int, least: int) -> None:
    """H (m + 1) >= (N - 1)/(2 p) with M = N + 1; the numbers of every position give more once M is larger."""
    bound = registry.get("match3-one-layer")
    assert bound.reduction is not None
    k = bound.reduction.bits(make_task("match3", {"modulus": min(n + 1, 2**20)}), n)
    assert k == (n - 1) // 2 and math.ceil(k / p) == least


def test_averages_over_many_pointer_sets_print() -> None:
    """341.0, 825.2 and 11401 bits; m + d' + 1 >= 43, 52, 357."""
    bound = registry.get("sparse-averaging-one-layer")
    for n, q, p, bits, width in ((1024, 64, 8, 341.0, 43), (1024, 256, 16, 825.2, 52), (10**6, 1000, 32, 11401.4, 357)):
        amount = bound.bits(make_task("sparse-averaging", {"q": q, "eps": 0.5 / q}), n)
        assert amount == pytest.approx(bits, abs=0.06) and math.ceil(amount / p) == width


@pytest.mark.parametrize(("bits", "bound"), [((8, 4), 0.19), ((12, 8), 0.012), ((16, 12), 0.00073)])
def test_a_split_softmax_keeps_its_error_bound(bits: tuple[int, int], bound: float) -> None:
    """N = 256, d_v = 8, two heads: logsumexp at b_L bits of +-64, means at b_v bits of +-1; per head d_L/4 + d_v/2."""
    rng = np.random.default_rng(0)
    step_l, step_v, worst = 128 / 2 ** bits[0], 2 / 2 ** bits[1], 0.0
    for _ in range(60):
        total, split = np.zeros(8), np.zeros(8)
        for _ in range(2):
            scores, values = rng.normal(0, 3, 256), rng.uniform(-1, 1, (256, 8))
            weights = np.exp(scores - scores.max())
            total += weights @ values / weights.sum()
            sides = [(scores[:100], values[:100]), (scores[100:], values[100:])]
            sums = [(np.log(np.exp(s).sum()), np.exp(s) @ v / np.exp(s).sum()) for s, v in sides]
            told = (np.round(sums[0][0] / step_l) * step_l, np.round(sums[0][1] / step_v) * step_v)
            w = 1 / (1 + np.exp(sums[1][0] - told[0]))
            split += w * told[1] + (1 - w) * sums[1][1]
        worst = max(worst, float(np.abs(total - split).max()))
    assert step_l / 4 + step_v / 2 == pytest.approx(bound, rel=0.03) and worst <= 2 * bound


def test_fano_forms() -> None:
    assert [round(symbol_bits(64, a), 2) for a in (1.0, 0.99, 0.9, 0.5, 0.2)] == [6.0, 5.86, 4.93, 2.01, 0.5]
    assert round(symbol_bits(2, 0.9), 3) == 0.531 and symbol_bits(64, 1 / 64) == 0.0
    assert recall_bits(100, 64, 1.0) == 600 and guessed_bits(512, 0.5) == 0.0
    for capacity, error in ((0.5, 0.110), (0.75, 0.042), (0.9, 0.0130), (63 / 64, 0.00144), (127 / 128, 0.00065)):
        assert least_error(capacity * 128, 128) == pytest.approx(error, rel=0.02)
        assert guessed_bits(128, least_error(capacity * 128, 128)) == pytest.approx(capacity * 128)
    assert least_error(9, 8) == 0.0
    with pytest.raises(InputError):
        symbol_bits(1, 0.5)


@dataclass(frozen=True)
class Gate(Task):
    """A Boolean function of the first bits; a last token asks."""

    which: str = "and-xor"
    name = "gate"
    gloss = source = "a test's own"

    def domain(self, n: int) -> Sequence:
        return Sequence((np.arange(2),) * n + (np.array([2]),), 3)

    def outputs(self) -> Labels:
        return Labels(2)

    def queries(self, n: int) -> tuple[int, ...]:
        return (n,)

    def answer(self, tokens: np.ndarray, reals: np.ndarray | None = None) -> np.ndarray:
        x, half = tokens[:, :-1], (tokens.shape[1] - 1) // 2
        match self.which:
            case "and-xor":
                y = (x[:, 0] & x[:, 1]) ^ (x[:, 2] & x[:, 3])
            case "disjoint":
                y = (x[:, :half] & x[:, half:]).any(axis=1)
            case _:
                y = x.sum(axis=1) % 2
        return y.astype(np.int64)[:, None]

    def sample(self, n: int, size: int, rng: np.random.Generator, distribution: str = "uniform") -> Any:
        raise NotImplementedError

    def show(self, tokens: np.ndarray, reals: np.ndarray | None = None) -> str:
        return str(tokens)


@pytest.mark.parametrize(
    ("which", "n", "value"), [("and-xor", 4, 2), ("disjoint", 4, 2), ("disjoint", 6, 3), ("parity", 4, 1)]
)
def test_split_vc(which: str, n: int, value: int) -> None:
    assert split_vc(Gate(which), n) == value


def test_vc_dimension_by_hand() -> None:
    cube = np.array([[i >> j & 1 for i in range(16)] for j in range(4)])
    assert vc_dimension(cube) == 4 and vc_dimension(cube.T) == 2 and vc_dimension(np.eye(6, dtype=np.int64)) == 1
    assert vc_dimension(np.ones((3, 3), dtype=np.int64)) == 0
    assert vc_capacity(1, 4, 4, 100, 8) == 4 * 5 * (5 + 4 + 32 + 8 + 200 + 16 + 1 + 2)


def test_discrepancy_of_inner_products() -> None:
    """Norm 2^(n/2): n/2 - log2 3 bits at error 1/3; nothing for equality."""
    vectors = np.array([[i >> j & 1 for j in range(8)] for i in range(256)])
    signs = 1 - 2 * (vectors @ vectors.T % 2)
    assert discrepancy_bits(signs) == pytest.approx(4 - math.log2(3), abs=1e-6)
    assert discrepancy_bits(1 - 2 * np.eye(256)) == 0.0


def test_states_of_the_dyck_automaton() -> None:
    assert len(make_task("dyck").automaton()) == 8  # type: ignore[attr-defined]
    assert len(make_task("dyck", {"depth": 10}).automaton()) == 2048  # type: ignore[attr-defined]


def test_hebbian_memories_lose_pairs_long_before_they_are_full() -> None:
    """n = f d^2 / (2 ln V) random pairs in a 64 x 64 matrix, V = 4096: accuracy .997, .943, .590 at f = 1/4, 1/2, 1."""
    rng, d, v = np.random.default_rng(0), 64, 4096
    for fraction, accuracy in ((0.25, 0.997), (0.5, 0.943), (1.0, 0.590)):
        n, right, asked = round(fraction * d * d / (2 * math.log(v))), 0, 0
        for _ in range(4):
            keys, codes = rng.normal(size=(n, d)) / math.sqrt(d), rng.normal(size=(v, d)) / math.sqrt(d)
            labels = rng.integers(0, v, n)
            memory = codes[labels].T @ keys
            read = keys @ memory.T
            right += int(((2 * read @ codes.T - (codes**2).sum(axis=1)).argmax(axis=1) == labels).sum())
            asked += n
        assert right / asked == pytest.approx(accuracy, abs=0.06)
