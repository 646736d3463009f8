"""Mutation suites of the heads kind on tied cells and in float formats: accidents, and attacks, all rehashed."""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from core.floats import Machine, margins, simulate
from core.heads import Instance
from core.reference import arb_right
from kernel.heads_cases import share_out
from separatrix.core.certificate import Certificate, Claim
from separatrix.core.guarantee import PROVED
from separatrix.core.semantics import Semantics
from separatrix.kernel import judge, judge_file
from separatrix.models.model import Model
from separatrix.tasks import registry
from separatrix.verify.provers.heads import prove
from separatrix.verify.provers.limits import within
from tasks.cover import words
from tasks.tied import Neighbours, Tally, TiedLookup, instance, worst

FORMATS = ("real", "real", "float:12", "fp32", "float:10,tree")


@pytest.fixture(autouse=True)
def tied(monkeypatch: pytest.MonkeyPatch) -> None:
    """Registers the test tasks for the duration of a test."""
    for task in (Tally, TiedLookup, Neighbours):
        monkeypatch.setitem(registry._entries, task.name, task)


def arrays_of(made: Instance, semantics: str) -> dict[str, np.ndarray] | None:
    """The prover's arrays; None when it proves nothing."""
    with within(0.3):
        outcome = prove(made.model, made.task, made.n, Semantics.parse(semantics))
    return outcome.certificate.arrays if outcome.verdict == "proved" and outcome.certificate else None


def certificate(made: Instance, semantics: str, arrays: dict[str, np.ndarray]) -> Certificate:
    task = made.task
    claim = Claim(task.name, task.parameters(), made.n, "correct", semantics)
    return Certificate("heads", claim, PROVED, task.source_sha256(), {}, arrays, made.model.reference())


def accepted(made: Instance, semantics: str, arrays: dict[str, np.ndarray]) -> bool:
    return judge(certificate(made, semantics, arrays), made.model.arch, made.model.tensors).accepted


def bases(seeds: range) -> Iterator[tuple[Instance, str, dict[str, np.ndarray]]]:
    """Proved models of 2 or 3 heads on count, distinct and regular cells, with a format and the prover's arrays."""
    for seed in seeds:
        made = share_out(instance(seed), np.random.default_rng((seed, 85)), 2 + seed % 2)
        semantics = FORMATS[seed % len(FORMATS)]
        arrays = arrays_of(made, semantics)
        if arrays is not None:
            yield made, semantics, arrays


def mutants(made: Instance, rng: np.random.Generator) -> Iterator[Instance]:
    """Weights moved, exchanged, dropped or rounded."""
    t = dict(made.model.tensors)
    for name in sorted(t):
        size = float(rng.choice([1e-4, 0.1, 0.4, 1.0, 1.0]))
        kind = int(rng.integers(5))
        new = [
            t[name] + rng.normal(size=t[name].shape) * size,
            t[name][::-1].copy(),
            np.zeros_like(t[name]),
            t[name] * float(rng.choice([-1.0, -1.0, 0.9])),
            t[name].astype(np.float32).astype(np.float64),
        ][kind]
        yield dataclasses.replace(made, model=Model(made.model.arch, t | {name: new}))


def is_wrong(made: Instance, semantics: str) -> bool | None:
    """Whether an input errs exactly, or as simulated in the format; None where it is too close to tell."""
    margin, tokens, query = worst(made.model, made.task, made.n)
    if abs(margin) <= 1e-6:
        return None
    if margin < 0:
        assert arb_right(made.model, made.task, made.n, tokens, query) is False
        return True
    spec = Semantics.parse(semantics).spec
    if spec is None:
        return False
    inputs, rng = words(made.task.domain(made.n)), np.random.default_rng(0)
    for query in made.task.queries(made.n):
        labels = made.task.answer(inputs)[:, made.task.queries(made.n).index(query)]
        with np.errstate(all="ignore"):
            logits = simulate(made.model, inputs, query, Machine(spec, "tree", rng, "random"))
        if not (margins(logits, labels) > 0).all():
            return True
    return False


def bent(arrays: dict[str, np.ndarray], rng: np.random.Generator) -> dict[str, np.ndarray]:
    """Arrays of the same form, made to mislead."""
    new = {name: array.copy() for name, array in arrays.items()}
    size = 10.0 ** float(rng.choice([-3, 0, 2, 100, 290]))
    match int(rng.integers(6)):
        case 0:
            new["tau"] += size * rng.normal(size=new["tau"].shape)
        case 1:
            new["tau"] = np.full_like(new["tau"], size)
        case 2:
            new["node"] = np.where(new["node"] == -1, -2, new["node"])
        case 3 | 4 if "prices" in new:
            new["prices"] = size * rng.normal(size=new["prices"].shape)
        case _:
            shape = new["spans"].shape if "spans" in new else (1, 2 * new["tau"].shape[1], 40)
            new["spans"] = size * rng.normal(size=shape)
            new.setdefault("ranged", np.zeros(1, dtype=np.int64))
    return new


def test_no_false_claim_is_accepted_and_true_ones_are() -> None:
    rng, seen = np.random.default_rng(21), Counter[str]()
    for made, semantics, old in bases(range(82)):
        for mutant in mutants(made, rng):
            wrong = is_wrong(mutant, semantics)
            taken = [accepted(mutant, semantics, arrays) for arrays in (old, bent(old, rng))]
            if not any(taken) and (new := arrays_of(mutant, semantics)) is not None:
                taken.append(accepted(mutant, semantics, new))
            if wrong:
                assert not any(taken), (made.family, semantics)
                seen["false"] += 1
                seen["false in floats"] += semantics != "real"
            elif wrong is False:
                seen["true"] += 1
                seen["accepted"] += any(taken)
    assert seen["false"] >= 100 and seen["false in floats"] >= 30 and seen["true"] >= 100, seen
    assert seen["accepted"] >= 0.9 * seen["true"], seen


def test_no_arrays_prove_a_false_claim() -> None:
    rng, tried = np.random.default_rng(22), 0
    for made, semantics, old in bases(range(100, 140)):
        for mutant in mutants(made, rng):
            if is_wrong(mutant, semantics):
                for _ in range(6):
                    assert not accepted(mutant, semantics, bent(old, rng)), (made.family, semantics)
                    tried += 1
    assert tried >= 200


def priced() -> tuple[Instance, dict[str, np.ndarray]]:
    """A proof that needs prices."""
    for made, semantics, arrays in bases(range(1, 400, 5)):
        if semantics == "real" and "prices" in arrays and not accepted(made, "real", without(arrays)):
            return made, arrays
    raise AssertionError("no model needs prices")


def without(arrays: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """The arrays without prices."""
    return {name: array for name, array in arrays.items() if name not in ("priced", "prices")}


def test_ill_formed_prices_are_refused() -> None:
    made, good = priced()
    assert accepted(made, "real", good)
    priced_, prices, ranged, spans = (good[name] for name in ("priced", "prices", "ranged", "spans"))
    bad = [np.where(np.arange(prices.size).reshape(prices.shape) == 1, x, prices) for x in (np.nan, np.inf, 1e308)]
    changes: list[dict[str, np.ndarray]] = [
        *({"prices": x} for x in bad),
        {"prices": prices.astype(np.float32)},
        {"prices": prices[:-1]},
        {"prices": prices[:, :1]},
        {"prices": prices[None]},
        {"priced": priced_[::-1].copy()},
        {"priced": priced_ - priced_[0] - 1},
        {"priced": priced_ + 2**40},
        {"priced": priced_.astype(np.float64)},
        {"priced": priced_[:0], "prices": prices[:0]},
        {"spans": spans[:, :1]},
        {"spans": np.where(np.isfinite(spans), np.nan, spans)},
        {"ranged": ranged + 1},
        {"ranged": ranged * 0},
        {"bounds": prices},
    ]
    for change in changes:
        verdict = judge(certificate(made, "real", good | change), made.model.arch, made.model.tensors)
        assert not verdict.accepted and verdict.exit_code in (1, 2), change
    for name in ("priced", "prices", "ranged", "spans"):
        alone = {key: array for key, array in good.items() if key != name}
        assert judge(certificate(made, "real", alone), made.model.arch, made.model.tensors).exit_code == 2


def test_a_changed_byte_is_noticed(tmp_path: Path) -> None:
    made, good = priced()
    made.model.save(tmp_path)
    path = certificate(made, "real", good).write(tmp_path, "right")
    assert judge_file(path).accepted
    rng = np.random.default_rng(0)
    for name in ("right.cert.json", "right.cert.safetensors", "model.safetensors", "config.json"):
        data = (tmp_path / name).read_bytes()
        for at in sorted(rng.choice(len(data), 120, replace=False).tolist()):
            flipped = bytearray(data)
            flipped[at] ^= 1 << int(rng.integers(8))
            (tmp_path / name).write_bytes(bytes(flipped))
            verdict = judge_file(path)
            assert not verdict.accepted and verdict.exit_code in (1, 2), (name, at)
        (tmp_path / name).write_bytes(data)
    assert judge_file(path).accepted
