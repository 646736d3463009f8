"""Certificates with prices: round trip, accidents, ill-formed arrays, and false claims under any prices."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from core.reference import arb_right, head
from separatrix.core.certificate import Certificate, Claim
from separatrix.core.guarantee import PROVED
from separatrix.kernel import judge, judge_file
from separatrix.models.model import Model
from separatrix.tasks.associative_recall import AssociativeRecall
from separatrix.tasks.majority import Majority
from separatrix.verify.provers import certify
from tasks.cover import words
from tasks.tied import worst

TASK, N = AssociativeRecall(keys=4, labels=2, joined=True), 3
EVERY = words(TASK.domain(N))


def decoy(strength: float = 0.9, beta: float = 4.0, noise: float = 0.0, seed: int = 0) -> Model:
    """Keys attend to their pair; the first key is near to every other, once at most in a legal input."""
    width, pair = TASK.keys + TASK.labels, np.arange(TASK.keys * TASK.labels)
    token, near, eye = np.zeros((TASK.keys * (TASK.labels + 1), width)), np.eye(TASK.keys), np.eye(width)
    near[0, 1:] = strength
    token[pair, : TASK.keys] = near[pair // TASK.labels]
    token[pair, TASK.keys + pair % TASK.labels] = 1.0
    token[len(pair) :, : TASK.keys] = np.eye(TASK.keys)
    tensors = {
        "embed.token": token + noise * np.random.default_rng(seed).normal(size=token.shape),
        "layers.0.query": beta * eye[None, :, : TASK.keys],
        "layers.0.key": eye[None, :, : TASK.keys],
        "layers.0.value": eye[None, :, TASK.keys :],
        "layers.0.output": eye[None, TASK.keys :],
        "readout.weight": eye[:, TASK.keys :],
        "readout.bias": np.zeros(TASK.labels),
    }
    arch = head(len(token), 0, TASK.labels, width, key=TASK.keys, value=TASK.labels, table=False)
    return Model(arch, tensors)


def priced(model: Model) -> Certificate:
    """What the prover writes, which needs prices."""
    certificate = certify(model, TASK, N, method="separable").certificate
    assert certificate is not None and certificate.claim.statement == "correct" and set(certificate.arrays) == {
        "pairs", "prices",
    }  # fmt: skip
    return certificate


def with_arrays(certificate: Certificate, **arrays: Any) -> Certificate:
    return dataclasses.replace(certificate, arrays=certificate.arrays | arrays)


def accepted(certificate: Certificate, model: Model) -> bool:
    return judge(certificate, model.arch, model.tensors).accepted


def test_round_trip_and_accidents(tmp_path: Path) -> None:
    """Read back and accepted; any byte of the arrays changed, hashes untouched: refused."""
    model = decoy()
    certificate = priced(model)
    model.save(tmp_path)
    path = dataclasses.replace(certificate, model=model.reference()).write(tmp_path, "right")
    assert judge_file(path).accepted and judge_file(path).guarantee == PROVED
    blob, rng = tmp_path / "right.cert.safetensors", np.random.default_rng(0)
    data = blob.read_bytes()
    for at in sorted(rng.choice(len(data), min(len(data), 150), replace=False).tolist()):
        flipped = bytearray(data)
        flipped[at] ^= 1 << int(rng.integers(8))
        blob.write_bytes(bytes(flipped))
        verdict = judge_file(path)
        assert not verdict.accepted and verdict.exit_code in (1, 2)
    blob.unlink()
    assert not judge_file(path).accepted


def test_without_its_prices_the_claim_is_not_proved() -> None:
    model = decoy()
    certificate = priced(model)
    assert accepted(certificate, model)
    assert not accepted(dataclasses.replace(certificate, arrays={}), model)
    zero = np.zeros_like(certificate.arrays["prices"])
    assert not accepted(with_arrays(certificate, prices=zero), model)


def test_ill_formed_arrays_are_refused() -> None:
    model = decoy()
    good = priced(model)
    pairs, prices = good.arrays["pairs"], good.arrays["prices"]
    cells = sum(map(len, TASK.cells(N, N)))
    spoilt = [
        np.where(np.arange(prices.size).reshape(prices.shape) == 3, bad, prices) for bad in (np.nan, np.inf, -np.inf)
    ]
    changes: list[dict[str, Any]] = [
        *({"prices": p} for p in spoilt),
        {"prices": prices.astype(np.float32)},
        {"prices": prices[:-1]},
        {"prices": prices[:, :-1]},
        {"prices": prices[None]},
        {"prices": prices.reshape(-1)},
        {"pairs": pairs[::-1].copy()},
        {"pairs": pairs - pairs[0] - 1},
        {"pairs": pairs.astype(np.float64)},
        {"pairs": pairs + 2 * cells},
        {"pairs": np.where(np.arange(len(pairs)) == len(pairs) - 1, cells * 2, pairs)},
        {"pairs": np.where(np.arange(len(pairs)) == 1, pairs[0], pairs)},
        {"pairs": pairs[None]},
        {"pairs": pairs[:0], "prices": prices[:0]},
        {"bounds": prices},
    ]
    for change in changes:
        verdict = judge(with_arrays(good, **change), model.arch, model.tensors)
        assert not verdict.accepted and verdict.exit_code in (1, 2), change
    for name in ("pairs", "prices"):
        alone = {key: value for key, value in good.arrays.items() if key != name}
        assert judge(dataclasses.replace(good, arrays=alone), model.arch, model.tensors).exit_code == 2
    more = dataclasses.replace(good, evidence={"prices": []})
    assert judge(more, model.arch, model.tensors).exit_code == 2


def test_prices_of_cells_that_are_not_distinct_are_refused() -> None:
    from kernel.test_constraint_cells import majority_of

    model, task = majority_of(3), Majority()
    claim = Claim(task.name, {}, 3, "correct")
    plain = Certificate("separable", claim, PROVED, task.source_sha256(), model=model.reference())
    arrays = {"pairs": np.array([1]), "prices": np.zeros((1, 3))}
    assert accepted(plain, model) and not accepted(dataclasses.replace(plain, arrays=arrays), model)


def perturbed(arrays: dict[str, np.ndarray], rng: np.random.Generator) -> dict[str, np.ndarray]:
    """Prices moved, exchanged, negated, blown up, or moved to other cells."""
    pairs, prices = arrays["pairs"].copy(), arrays["prices"].copy()
    cells = 2 * sum(map(len, TASK.cells(N, N)))
    match int(rng.integers(8)):
        case 0:
            prices += float(rng.choice([1e-3, 0.1, 1.0, 10.0])) * rng.normal(size=prices.shape)
        case 1:
            prices = -prices
        case 2:
            prices *= float(rng.choice([1e3, 1e150, 1e300]))
        case 3:
            prices = prices[rng.permutation(len(prices))]
        case 4:
            prices = prices[:, rng.permutation(prices.shape[1])]
        case 5:
            prices = np.where(rng.random(prices.shape) < 0.3, float(rng.choice([1.7e308, -1.7e308, 1e9, -1e9])), prices)
        case 6:
            pairs = np.sort(rng.choice(cells, len(pairs), replace=False))
        case 7:
            pairs = np.arange(cells)
            prices = rng.normal(size=(cells, prices.shape[1])) * 10.0 ** float(rng.integers(-3, 308))
    return {"pairs": pairs, "prices": prices}


def test_no_false_claim_is_accepted_whatever_the_prices() -> None:
    """Wrong models with the prices of right ones and of their own sweep, and those perturbed: arb knows an error."""
    from separatrix.verify.provers.sweep import sweep

    base, false, rng = priced(decoy()).arrays, 0, np.random.default_rng(1)
    for seed in range(40):
        model = decoy(float(rng.uniform(0.7, 1.0)), float(rng.uniform(0.2, 3.0)), 0.02, seed)
        margin, tokens, query = worst(model, TASK, N, EVERY)
        if margin > -1e-9:
            continue
        assert arb_right(model, TASK, N, tokens, query) is False
        own = sweep(model, TASK, N, slack=2.0).arrays(TASK.domain(N).vocabulary)
        claim = Claim(TASK.name, TASK.parameters(), N, "correct")
        plain = Certificate("separable", claim, PROVED, TASK.source_sha256(), model=model.reference())
        for arrays in ({}, base, own, *(perturbed(own if k % 2 else base, rng) for k in range(8))):
            if arrays and not len(arrays["pairs"]):
                continue
            verdict = judge(dataclasses.replace(plain, arrays=arrays), model.arch, model.tensors)
            assert not verdict.accepted and verdict.exit_code == 1, verdict.sentence
            false += 1
    assert false >= 100, false


def test_true_claims_survive_small_changes_of_their_prices() -> None:
    """At least 90 %: relative noise of 1e-3, rounding to float32, a common shift, prices of more cells."""
    true = kept = 0
    rng = np.random.default_rng(2)
    for seed in range(30):
        model = decoy(float(rng.uniform(0.86, 0.94)), 4.0, 0.01, seed)
        margin, _, _ = worst(model, TASK, N, EVERY)
        outcome = certify(model, TASK, N, method="separable")
        assert (outcome.verdict == "proved") == (margin > 0)
        if outcome.verdict != "proved" or outcome.certificate is None or not outcome.certificate.arrays:
            continue
        good = outcome.certificate
        prices = good.arrays["prices"]
        size = np.abs(prices).max(axis=1, keepdims=True)
        for moved in (
            prices * (1 + 1e-3 * rng.normal(size=prices.shape)),
            prices + 1e-3 * size * rng.normal(size=prices.shape),
            prices.astype(np.float32).astype(np.float64),
            prices + size,
            prices - 3.0 * size,
        ):
            true += 1
            kept += accepted(with_arrays(good, prices=moved), model)
    assert true >= 100 and kept >= 0.9 * true, (true, kept)


@pytest.mark.parametrize("change", ["labels", "keys", "joined", "n"])
def test_a_certificate_says_nothing_about_other_parameters(change: str) -> None:
    model = decoy()
    good = priced(model)
    parameters: dict[str, Any] = {"labels": {"labels": 3}, "keys": {"keys": 5}, "joined": {"joined": False}, "n": {}}[
        change
    ]
    claim = dataclasses.replace(good.claim, parameters=good.claim.parameters | parameters, n=4 if change == "n" else N)
    verdict = judge(dataclasses.replace(good, claim=claim), model.arch, model.tensors)
    if verdict.accepted:  # a model without positions reads other lengths too
        assert change == "n" and worst(model, TASK, 4)[0] > 0
