"""Damage: 100 random faults of one weight in every witness. What breaks never certifies, and is refuted by an input."""

from __future__ import annotations

import numpy as np
import pytest

from separatrix.can import registry
from separatrix.core.domain import Labels, RealAnswer
from separatrix.core.task import Task
from separatrix.models import Model, evaluate
from separatrix.tasks import make_task
from separatrix.verify.provers import certify
from tasks.cover import words

FAULTS = 100
ROUNDING = 1e-9
LEAST, MOST = 10, 1000  # one entry of a long code matters little: then faults are drawn until some break
MOST_REALS = 160  # real answers take longer
SMALL: dict[str, tuple[dict[str, object], int]] = {
    "associative-recall-quadratic": ({"keys": 4, "labels": 2, "joined": True}, 3),
    "associative-recall-two-layer": ({"keys": 4, "labels": 2}, 3),
    "clauses-two-layer": ({"formula": "1 -2, 3 4"}, 5),
    "disjointness-store": ({}, 6),
    "disjointness-two-layer": ({}, 8),
    "dyck-elman": ({"types": 2, "depth": 2}, 6),
    "dyck-stack": ({"types": 2, "depth": 2}, 6),
    "dyck-three-layer": ({"types": 2, "depth": 3}, 6),
    "dyck-two-layer": ({"types": 2, "depth": 2}, 6),
    "equality-store": ({}, 6),
    "equality-two-layer": ({}, 8),
    "fingerprint-elman": ({"prime": 5}, 8),
    "function-composition-strassen": ({"labels": 2}, 3),
    "greatest-benes": ({}, 4),
    "greatest-program": ({}, 6),
    "index-lookup-chirp": ({"symbols": 3}, 4),
    "index-lookup-quadratic": ({"symbols": 3}, 5),
    "index-lookup-random": ({"symbols": 3}, 4),
    "index-lookup-store": ({"symbols": 3}, 4),
    "k-hop-doubling": ({"k": 3, "symbols": 2}, 7),
    "least-benes": ({}, 4),
    "least-program": ({}, 6),
    "match2-circle": ({"modulus": 5}, 4),
    "match-sums-higher-order": ({"order": 4, "modulus": 3}, 3),
    "match3-bigram-two-layer": ({"modulus": 3}, 4),
    "match3-local-one-layer": ({"modulus": 3}, 4),
    "match3-packing": ({"modulus": 2}, 3),
    "match3-strassen": ({"modulus": 5}, 4),
    "match3-third-order": ({"modulus": 5}, 4),
    "maximum-subarray-program": ({}, 4),
    "multi-query-recall-two-layer": ({"keys": 3, "labels": 2}, 2),
    "nearest-neighbour-pointer": ({"dim": 2}, 3),
    "nearest-neighbour-recency": ({"dim": 2, "joined": True}, 3),
    "nearest-neighbour-two-layer": ({"dim": 2}, 3),
    "prefix-maxima-program": ({}, 6),
    "prefix-medians-program": ({}, 4),
    "prefix-minima-program": ({}, 6),
    "prefix-sums-benes": ({}, 4),
    "prefix-sums-program": ({}, 6),
    "regular-elman": ({"transitions": "1 2, 1 1, 0 2", "accepting": "0 2"}, 7),
    "routing-sortnet": ({}, 4),
    "sorting-benes": ({}, 4),
    "sorting-program": ({}, 6),
    "sparse-averaging-chirp": ({"q": 2}, 60),
    "relation-composition-strassen": ({}, 2),
    "sparse-averaging-circle": ({"q": 2}, 6),
    "sparse-averaging-moment": ({"q": 2}, 6),
    "sparse-averaging-onehot": ({"q": 2}, 6),
    "sparse-averaging-random": ({"q": 2}, 6),
    "sparse-averaging-trigonometric": ({"q": 2}, 6),
    "sparse-propagation-start": ({"q": 2}, 6),
    "total-program": ({}, 6),
}


def faulty(model: Model, rng: np.random.Generator, anywhere: bool = True) -> Model:
    """One weight lost, turned, doubled, or moved by as much as the largest of its tensor.

    All weights are equally likely, or (not `anywhere`) all tensors.
    """
    sizes = {name: tensor.size for name, tensor in model.tensors.items() if tensor.size}
    if not anywhere:
        name = str(rng.choice(list(sizes)))
        sizes = {name: sizes[name]}
    chosen = int(rng.integers(0, sum(sizes.values())))
    for name, size in sizes.items():
        if chosen < size:
            tensor = np.array(model.tensors[name])
            old = tensor.reshape(-1)[chosen]
            moved = old + tensor.dtype.type(rng.normal() * max(1.0, float(np.abs(tensor).max())))
            tensor.reshape(-1)[chosen] = rng.choice([0 * old, -old, 2 * old, moved]) if old else moved
            return Model(model.arch, {**model.tensors, name: tensor})
        chosen -= size
    raise AssertionError("the model has no weights")


def least_margin(model: Model, task: Task, n: int, rng: np.random.Generator) -> float:
    """Over all inputs, for labels; for real answers eps less the error, over many inputs with real parts of +-1."""
    domain, outputs, queries = task.domain(n), task.outputs(), task.queries(n)
    many = min(3000, 18_000 // n)
    tokens = words(domain) if isinstance(outputs, Labels) else task.sample(n, many, rng)[0]
    if isinstance(outputs, Labels):
        logits, labels = evaluate(model, tokens, queries=queries), task.answer(tokens)
        right = np.take_along_axis(logits, labels[:, :, None], axis=2)[:, :, 0]
        np.put_along_axis(logits, labels[:, :, None], -np.inf, axis=2)
        return float((right - logits.max(axis=2)).min())
    assert isinstance(outputs, RealAnswer) and domain.reals is not None
    if domain.reals.kind != "ball":  # samples, and corners
        low, high = domain.reals.low, domain.reals.high
        reals = np.where(
            rng.random((many, 1, 1)) < 0.5, rng.choice([low, high], (many, n, 1)), rng.uniform(low, high, (many, n, 1))
        )
        if domain.reals.kind == "routed":
            reals = np.concatenate([rng.random((many, n, 1)).argsort(axis=1), reals], axis=2)
    else:
        reals = rng.choice([-1.0, 1.0], (*tokens.shape[:2], 1)) * np.eye(domain.reals.dim)[0]
    wrong = evaluate(model, tokens, reals, queries) - task.answer(tokens, reals)
    return outputs.eps - float(np.linalg.norm(wrong, axis=2).max())


def test_every_witness_is_damaged() -> None:
    assert set(SMALL) == {name for name, _ in registry.items()}


@pytest.mark.slow
@pytest.mark.parametrize("name", SMALL)
def test_broken_witnesses_are_refuted_and_never_certified(name: str) -> None:
    witness = registry.get(name)
    parameters, n = SMALL[name]
    task, rng = make_task(witness.task, parameters), np.random.default_rng(0)
    model = witness.build(task, n)
    assert certify(model, task, n, method=witness.method).verdict == "proved"
    broken = refuted = drawn = 0
    most = MOST if isinstance(task.outputs(), Labels) else MOST_REALS
    while drawn < FAULTS or (broken < LEAST and drawn < most):
        bad, drawn = faulty(model, rng, drawn < FAULTS), drawn + 1
        margin = least_margin(bad, task, n, rng)
        if drawn > FAULTS and margin >= -ROUNDING:
            continue
        verdict = certify(bad, task, n, method=witness.method).verdict
        assert verdict != "proved" or margin > -ROUNDING, "a broken model was certified"
        if verdict == "refuted" or margin < -ROUNDING:  # in between are ties, which balls cannot tell from wins
            broken, refuted = broken + 1, refuted + (verdict == "refuted")
    assert broken >= LEAST and refuted >= 0.9 * broken, (refuted, broken, drawn)
