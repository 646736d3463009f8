"""The prover on cells that tie positions together: against enumeration, and on trained models."""

from __future__ import annotations

import itertools
from collections import Counter

import numpy as np
import pytest

from core.reference import arb_right
from separatrix.core.domain import Constraint
from separatrix.core.semantics import Semantics
from separatrix.kernel import judge
from separatrix.tasks import make_task, registry
from separatrix.verify.provers import certify
from separatrix.verify.provers.minimise import assign, least_word
from tasks.cover import obeys
from tasks.tied import Neighbours, Tally, TiedLookup, instance, worst

CLEAR = 1e-9
HEADS = 1600


@pytest.fixture
def tied(monkeypatch: pytest.MonkeyPatch) -> None:
    """Registers the test tasks for the duration of a test."""
    for task in (Tally, TiedLookup, Neighbours):
        monkeypatch.setitem(registry._entries, task.name, task)


@pytest.mark.usefixtures("tied")
@pytest.mark.parametrize("part", range(4))
def test_verdicts_agree_with_enumeration(part: int) -> None:
    """1,600 heads in all: proved iff right, refuted by a legal input on which arb finds an error."""
    seen: Counter[tuple[str, str]] = Counter()
    for seed in range(part * HEADS // 4, (part + 1) * HEADS // 4):
        made = instance(seed)
        margin, tokens, query = worst(made.model, made.task, made.n)
        outcome = certify(made.model, made.task, made.n, method="separable")
        seen[made.family, outcome.verdict] += 1
        if margin > CLEAR:
            assert outcome.verdict == "proved", (seed, outcome.sentence)
        elif margin < -CLEAR:
            assert outcome.verdict == "refuted", (seed, outcome.sentence)
        elif outcome.verdict == "proved":
            assert arb_right(made.model, made.task, made.n, tokens, query), seed
        if outcome.verdict == "refuted":
            assert outcome.counterexample is not None
            tokens, query = outcome.counterexample
            assert made.task.domain(made.n).contains(tokens) and obeys(made.task.domain(made.n).constraint, tokens)
            assert arb_right(made.model, made.task, made.n, tokens, query) is False
        if outcome.certificate is not None:
            assert judge(outcome.certificate, made.model.arch, made.model.tensors).accepted
    proved, refuted = (sum(c for (_, v), c in seen.items() if v == verdict) for verdict in ("proved", "refuted"))
    assert proved >= 0.4 * HEADS / 4 and refuted >= 0.3 * HEADS / 4 and proved + refuted >= 0.96 * HEADS / 4, seen


def test_least_words_are_the_least() -> None:
    rng = np.random.default_rng(0)
    for seed in range(600):
        positions, symbols, states = (int(rng.integers(1, 5)) for _ in range(3))
        used = np.sort(rng.choice(6, symbols, replace=False))
        constraint = Constraint(
            ("count", "distinct", "regular")[seed % 3],  # pyright: ignore[reportArgumentType]
            symbol=int(rng.choice(used)),
            count=int(rng.integers(positions + 1)),
            transitions=tuple(map(tuple, rng.integers(0, states, (states, 6)).tolist())),
            accepting=tuple(np.flatnonzero(rng.random(states) < 0.5).tolist()),
            classes=tuple(rng.integers(0, 5, 6).tolist()) if rng.integers(2) else (),
        )
        cost = rng.normal(size=(positions, symbols))
        allowed = rng.random(cost.shape) < 0.8
        allowed[:, int(rng.integers(symbols))] = True
        cost[~allowed] = np.inf
        every = itertools.product(*(np.flatnonzero(row).tolist() for row in allowed))
        sums = [cost[np.arange(positions), list(w)].sum() for w in every if obeys(constraint, used[list(w)])]
        found = least_word(constraint, cost, used)
        if not sums:
            assert found.value == np.inf
            continue
        assert found.value == pytest.approx(min(sums)) and obeys(constraint, used[found.word])
        assert cost[np.arange(positions), found.word].sum() == pytest.approx(found.value)
        if constraint.kind == "distinct":
            _, prices = assign(constraint, cost, used)
            kinds = constraint.class_of(used)
            row_prices = [
                min(c - prices[int(k)] for c, k in zip(row, kinds, strict=True) if c < np.inf) for row in cost
            ]
            assert max(prices.values()) <= 0.0
            assert sum(row_prices) + sum(prices.values()) == pytest.approx(min(sums))


def test_labels_apart_from_their_keys_are_beyond_one_head() -> None:
    """Two pairs, keys k and k', labels a and b: the four sums of terms add up in pairs to the same number.

    One head with a linear read-out compares sum_j f_j(x_j) with 0 for a given key that asks. Of k a k' b and k' b k a
    both must be positive, of k b k' a and k' a k b both negative; but the two pairs hold the same terms.
    """
    task, rng = make_task("associative-recall", {"keys": 2, "labels": 2}), np.random.default_rng(1)
    from core.reference import head, random_tensors
    from separatrix.models.model import Model

    for blank, residual in itertools.product((False, True), repeat=2):
        for _ in range(10):
            arch = head(4, 5, 2, 6, key=3, value=3, blank=blank, residual=residual)
            outcome = certify(Model(arch, random_tensors(arch, rng)), task, 2, method="separable")
            assert outcome.verdict == "refuted"


@pytest.mark.parametrize(
    ("name", "parameters", "n", "width", "steps", "distribution"),
    [
        ("majority", {}, 15, 8, 200, "counts"),
        ("associative-recall", {"keys": 16, "labels": 4, "joined": True}, 8, 32, 400, "uniform"),
        ("dyck", {"types": 1, "depth": 1}, 8, 8, 300, "balanced"),
        ("dyck", {"types": 2, "depth": 2}, 8, 8, 60, "balanced"),
    ],
    ids=lambda v: str(v) if isinstance(v, str) else "",
)
def test_trained_models_are_decided(
    name: str, parameters: dict[str, object], n: int, width: int, steps: int, distribution: str
) -> None:
    """Every verdict is reached; what is right with a margin in float32 is proved for fp32 too, or left open."""
    pytest.importorskip("torch")
    from separatrix.learn import one_layer, train

    task = make_task(name, parameters)
    made = train(
        task, n, one_layer(task, n, width), seed=1, steps=steps, learning_rate=0.01, batch=64, distribution=distribution
    )
    outcome = certify(made.model, task, n, method="separable")
    assert outcome.verdict in ("proved", "refuted"), outcome.sentence
    if outcome.counterexample is not None:
        tokens, query = outcome.counterexample
        assert task.domain(n).contains(tokens)
        assert arb_right(made.model, task, n, tokens, query) is False
        assert certify(made.model, task, n, Semantics.parse("fp32"), method="separable").verdict != "proved"
    else:
        assert made.accuracy == 1.0
