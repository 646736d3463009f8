"""Two mutation suites for the kinds about two parties: reading, boxes, decoding.

Accident: bytes of the files change, hashes stay: nothing is accepted. Attack: claim and evidence change and every hash
is recomputed: of mutants whose claim exceeds what suffices (by enumeration of the communication matrix) none is
accepted; of mutants whose claim is still true nearly all are.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from kernel.accidents import none_is_accepted
from separatrix.cannot import registry
from separatrix.cannot.engine.decoding import Guess, decoding_certificate
from separatrix.cannot.engine.matrix import Matrix
from separatrix.cannot.engine.readings import reading_certificate
from separatrix.core.certificate import Certificate
from separatrix.core.seeds import child
from separatrix.kernel import judge_file
from separatrix.tasks import make_task

KINDS = (
    "reading-rows",
    "reading-fooling",
    "reading-rank",
    "reading-classes",
    "boxes-state",
    "boxes-one-way",
    "decoding",
    "matrix-rank",
    "matrix-rows",
)
Pieces = dict[str, Any]


def original(kind: str) -> Certificate:
    match kind:
        case "reading-rows":
            return registry.get("greater-than-recurrent").certificate(make_task("greater-than"), 6)
        case "reading-fooling":
            return registry.get("dyck-one-layer").certificate(make_task("dyck"), 4)
        case "reading-rank":
            return registry.get("inner-product-one-layer").certificate(make_task("inner-product"), 6)
        case "reading-classes":
            return registry.get("majority-recurrent").certificate(make_task("majority"), 7)
        case "boxes-state":
            task = make_task("nearest-neighbour", {"dim": 2, "labels": 2})
            return registry.get("nearest-neighbour-recurrent").certificate(task, 2)
        case "boxes-one-way":
            task = make_task("associative-recall", {"keys": 3, "labels": 2})
            return registry.get("associative-recall-one-layer").certificate(task, 3)
        case "matrix-rank":
            return Matrix.of(make_task("inner-product"), 6, alice=range(3)).rank()
        case "matrix-rows":
            return Matrix.of(make_task("disjointness"), 6, alice=[0, 1, 4], known={5: 1}).rows()
        case _:
            return index(8)


def index(n: int, samples: int = 4000, slack: float = 0.0) -> Certificate:
    guesses = [Guess(k, 0, 1, ((n, 2 + k),), n, 1) for k in range(n)]
    task, base = make_task("index-lookup", {"symbols": 2}), np.array([0] * n + [2])
    return decoding_certificate(task, n, base, guesses, n, slack, samples)


def edit(good: Certificate, bound: float | None = None, n: int | None = None, **parts: Any) -> Certificate:
    """New bound, n, evidence fields, arrays and task parameters."""
    claim, parameters = good.claim, dict(good.claim.parameters)
    evidence, arrays = dict(good.evidence), dict(good.arrays)
    for name, value in parts.items():
        if isinstance(value, np.ndarray):
            arrays[name] = value
        elif name in parameters:
            parameters[name] = value
        else:
            evidence[name] = value
    amount = claim.bound if bound is None else float(bound).hex()
    claim = replace(claim, parameters=parameters, n=claim.n if n is None else n, bound=amount)
    return replace(good, claim=claim, evidence=evidence, arrays=arrays)


def most(mutant: Certificate) -> float:
    """What suffices, by enumeration: for a state, the most rows at any cut; else what Alice's words can be."""
    claim = mutant.claim
    task = make_task(claim.task, claim.parameters)
    domain = task.domain(claim.n)
    alphabets = [np.asarray(a) for a in domain.alphabets]
    if claim.measure == "state":
        if claim.task in ("index-lookup", "nearest-neighbour"):  # every label or symbol, and for points those
            cells = [len(a) for a in alphabets[:-1]]
            return sum(map(math.log2, cells))
        words = np.array(list(itertools.product(*alphabets)))
        answers, top = task.answer(words)[:, -1], 1
        for cut in range(1, len(alphabets)):
            rows = math.prod(len(a) for a in alphabets[:cut])
            top = max(top, len(np.unique(answers.reshape(rows, -1), axis=0)))
        return math.log2(top)
    held = (
        mutant.arrays["alice"]
        if "alice" in mutant.arrays
        else np.isin(np.arange(len(alphabets)), mutant.arrays["positions"])
    )
    sides = [
        sum(math.log2(len(a)) for a, own in zip(alphabets, held, strict=True) if bool(own) == who)
        for who in (True, False)
    ]
    return min(sides) + 1 if claim.measure == "exchange" else sides[0]


def scrambled(good: Certificate, rng: np.random.Generator) -> dict[str, np.ndarray]:
    """Random arrays in the place of one or two of the certificate's."""
    arrays: dict[str, np.ndarray] = {}
    for name in rng.choice(sorted(good.arrays), min(2, len(good.arrays)), replace=False).tolist():
        array = good.arrays[name]
        match int(rng.integers(5)):
            case 0 if len(array):
                arrays[name] = np.concatenate([array, array[rng.integers(0, len(array), 1 + len(array) // 2)]])
            case 1:
                arrays[name] = rng.permutation(array.reshape(-1)).reshape(array.shape)
            case 2:
                arrays[name] = array + rng.integers(0, 3, array.shape)
            case 3:
                arrays[name] = array * int(rng.integers(-1, 3))
            case _:
                arrays[name] = array[: max(1, len(array) // 2)]
    return arrays


def false_claims(kind: str, good: Certificate) -> Iterator[Certificate]:
    """At least 100 claims above what suffices, with evidence dressed up to match."""
    rng, bound = child(1, kind), float.fromhex(good.claim.bound)
    top = most(good)
    for extra in np.geomspace(1e-9, 100, 40):
        yield edit(good, top + extra)
    for n in range(1, good.claim.n):
        for _ in range(6):
            yield edit(good, max(bound, top) + float(rng.random()), n=n)
    for _ in range(120):
        fields: Pieces = {}
        if rng.random() < 0.3:
            fields["query"] = int(rng.integers(0, 9))
        if "cut" in good.evidence and rng.random() < 0.3:
            fields["cut"] = int(rng.integers(0, 9))
        if "measure" in good.evidence and rng.random() < 0.3:
            fields["measure"] = str(rng.choice(["rows", "fooling", "rank", "classes"]))
        if "value" in good.evidence and rng.random() < 0.3:
            fields["value"] = int(rng.integers(0, 3))
        if "samples" in good.evidence:
            fields["samples"] = int(rng.integers(1, 60))
            fields["delta"] = float(10.0 ** -rng.integers(0, 12)).hex()
        yield edit(good, top + float(rng.random()) * 3 + 1e-6, **scrambled(good, rng), **fields)
    if kind == "reading-fooling":  # a guard that accepts more words than fool
        for _ in range(20):
            guard, accepts = rng.integers(0, 3, (3, 5)), rng.integers(0, 2, 3)
            yield edit(good, 3.0 + float(rng.random()), guard=guard, accepts=accepts)
    if kind == "decoding":  # guesses that cannot be right, and few samples
        for n in (2, 3, 4):
            small = index(n)
            for samples in (1, 2, 5, 40):
                yield edit(small, n + 1e-3, samples=samples)


def true_claims(kind: str, good: Certificate) -> Iterator[Certificate]:
    """At least 100 claims that still hold, with evidence that still shows them."""
    rng, bound = child(2, kind), float.fromhex(good.claim.bound)
    for part in rng.random(80):
        yield edit(good, bound * float(part))
    task = make_task(good.claim.task, good.claim.parameters)
    low = 1 - 1e-12
    match kind:
        case "reading-rows":
            for n in range(2, 42, 2):
                yield registry.get("greater-than-recurrent").certificate(task, n)
            for _ in range(10):  # fewer words of Alice's
                keep = sorted(rng.choice(3, 2, replace=False).tolist())
                yield reading_certificate(
                    task, 6, "rnn", "state", "rows", range(3), 4, {p: [0] for p in range(3) if p not in keep}
                )
        case "reading-fooling":
            for n in range(2, 32, 2):
                yield registry.get("dyck-one-layer").certificate(task, n)
            for last in (2, 3):
                for n in range(4, 14, 2):
                    yield reading_certificate(
                        task, n, "transformer", "exchange", "fooling", range(1, n, 2), 2 ** (n - 2), {n - 1: [last]}, 1
                    )
        case "reading-rank":
            for a, b in itertools.product((1, 2, -3), repeat=2):
                yield edit(good, 2.9 if a == -b else 0.0, values=np.array([a, -b]))
            for n in range(2, 30, 2):
                yield registry.get("inner-product-one-layer").certificate(task, n)
        case "reading-classes":
            for n in range(1, 41, 2):
                yield registry.get("majority-recurrent").certificate(task, n)
        case "boxes-state":
            for _ in range(30):
                words = good.arrays["words"].copy()
                keys = rng.permutation(4)[:2]
                words[:, [0, 2]], words[:, 4] = keys, keys
                yield edit(good, words=words)
        case "boxes-one-way":
            for _ in range(30):
                keys, words = rng.permutation(3), good.arrays["words"].copy()
                words[:, [0, 2, 4, 6]] = keys[words[:, [0, 2, 4, 6]]]
                yield edit(good, words=words)
        case "matrix-rank":
            for n, alice in itertools.product((2, 4, 6), ([0], [0, 1], [1], [1, 0, 2], [1, 2], [0, 2])):
                for name in ("inner-product", "equality", "disjointness"):
                    if max(alice) < n - 1:
                        yield Matrix.of(make_task(name), n, alice=alice).rank()
        case "matrix-rows":
            prefixes, suffixes = good.arrays["prefixes"], good.arrays["suffixes"]
            for _ in range(15):
                yield edit(good, prefixes=rng.permutation(prefixes), suffixes=rng.permutation(suffixes))
            for m in rng.integers(2, len(prefixes), 15):
                yield edit(good, math.log2(m) * low, prefixes=rng.permutation(prefixes)[:m])
        case _:
            for _ in range(15):  # the other symbol means 1
                flip = rng.integers(0, 2, 8)
                yield edit(good, bound * low, low=flip, high=1 - flip, values=1 - flip)
            for n in range(2, 20):
                yield index(n)


@pytest.mark.parametrize("kind", KINDS)
def test_accidents_are_noticed(kind: str, tmp_path: Path) -> None:
    none_is_accepted(original(kind).write(tmp_path, "bound"), child(3, kind), 120)


@pytest.mark.parametrize("kind", KINDS)
def test_attacks_with_a_false_claim_are_never_accepted(kind: str, tmp_path: Path) -> None:
    good, tried = original(kind), 0
    for number, mutant in enumerate(false_claims(kind, good)):
        try:
            top = most(mutant)
        except Exception:  # no such problem, or no such parties: the claim is about nothing
            top = -math.inf
        if float.fromhex(mutant.claim.bound) <= top:
            continue  # the changes made it true
        verdict = judge_file(mutant.write(tmp_path, f"false-{number}"))
        assert not verdict.accepted, (mutant.claim, verdict.sentence)
        tried += 1
    assert tried >= 100


@pytest.mark.parametrize("kind", KINDS)
def test_attacks_with_a_true_claim_are_nearly_all_accepted(kind: str, tmp_path: Path) -> None:
    good, accepted = original(kind), []
    for number, mutant in enumerate(true_claims(kind, good)):
        accepted.append(judge_file(mutant.write(tmp_path, f"true-{number}")).accepted)
    assert len(accepted) >= 100 and np.mean(accepted) >= 0.9, np.flatnonzero(~np.array(accepted))


def test_guarantees_are_the_kinds_own(tmp_path: Path) -> None:
    """A statistical certificate is neither promoted to proved nor allowed another delta than the one it samples for."""
    from separatrix.core.guarantee import PROVED, statistical

    good = index(8)
    assert judge_file(good.write(tmp_path, "good")).guarantee == statistical(1e-9)
    for guarantee in (PROVED, statistical(1e-12), statistical(1e-3)):
        assert not judge_file(replace(good, guarantee=guarantee).write(tmp_path, "other")).accepted
    loose = replace(edit(good, delta=(0.5).hex()), guarantee=statistical(0.5))
    assert not judge_file(loose.write(tmp_path, "loose")).accepted
    proved = original("reading-rows")
    assert not judge_file(replace(proved, guarantee=statistical(1e-9)).write(tmp_path, "demoted")).accepted
