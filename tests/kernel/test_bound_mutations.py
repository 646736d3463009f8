"""Two mutation suites for every kind that states `needs`.

Accident: bytes of the files change, hashes stay: nothing is accepted. Attack: claim and evidence change and every hash
is recomputed: of mutants whose claim is false (shown by enumeration or by a model that does with less) none is
accepted; of mutants whose claim is still true nearly all are.
"""

import itertools
import math
from collections.abc import Iterator
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from kernel.accidents import none_is_accepted
from separatrix.cannot import registry
from separatrix.cannot.engine.matrix import Matrix
from separatrix.core.certificate import Certificate
from separatrix.core.seeds import child
from separatrix.core.task import Task
from separatrix.kernel import judge_file
from separatrix.tasks import make_task

KINDS = (
    *("communication", "coordinates", "coordinates-constant", "coordinates-real"),
    *("swap-rows", "pointer-rows", "first-layer-rank"),
)


def original(kind: str) -> Certificate:
    match kind:
        case "communication":
            return Matrix.of(make_task("match2", {"modulus": 5}), 4).rows()
        case "coordinates":
            return registry.get("index-lookup-recurrent").certificate(make_task("index-lookup", {"symbols": 4}), 5)
        case "coordinates-constant":  # a task without cells
            return registry.get("relation-composition-recurrent").certificate(make_task("relation-composition"), 3)
        case "coordinates-real":  # N = q is where the ledger reads a number on its own
            task = make_task("sparse-averaging", {"q": 2, "eps": 0.24})
            return registry.get("sparse-averaging-recurrent-levels").certificate(task, 2)
        case "swap-rows":
            task = make_task("sparse-averaging", {"q": 1, "eps": 0.5})
            return registry.get("sparse-averaging-recurrent-levels").certificate(task, 5)
        case "pointer-rows":
            task = make_task("sparse-averaging", {"q": 2, "eps": 0.4})
            return registry.get("sparse-averaging-one-layer").certificate(task, 6)
        case _:
            task = make_task("sparse-averaging", {"q": 2, "dim": 2, "eps": 0.3})
            return registry.get("sparse-averaging-feed-forward").certificate(task, 6)


def edit(good: Certificate, bound: float | None = None, n: int | None = None, **parts: Any) -> Certificate:
    """New bound, n, task parameters (`q=`, ...), evidence fields and arrays."""
    claim, parameters = good.claim, dict(good.claim.parameters)
    evidence, arrays = dict(good.evidence), dict(good.arrays)
    for name, value in parts.items():
        if isinstance(value, np.ndarray):
            arrays[name] = value
        elif name in parameters:
            parameters[name] = value.hex() if isinstance(value, float) else value
        else:
            evidence[name] = value
    claim = replace(
        claim,
        parameters=parameters,
        n=claim.n if n is None else n,
        bound=claim.bound if bound is None else float(bound).hex(),
    )
    return replace(good, claim=claim, evidence=evidence, arrays=arrays)


@cache
def entries(n: int, cut: int) -> float:
    """The rows of relation composition at a cut."""
    return math.log2(len(Matrix.of(make_task("relation-composition"), n, cut).labels))


def most(certificate: Certificate) -> float:
    """An amount that suffices: what the claim of a true certificate cannot exceed."""
    claim = certificate.claim
    task: Task = make_task(claim.task, claim.parameters)
    n = claim.n
    q, dim, eps = (getattr(task, name, 0) for name in ("q", "dim", "eps"))
    match claim.measure:
        case "width":  # the identity, or, for N = q, the one average
            return dim if n == q else n * dim
        case "message":  # the pointer set itself, by number
            return math.log2(math.comb(n, q))
        case _ if claim.task == "index-lookup":
            return n * math.log2(task.symbols)  # type: ignore[attr-defined]
        case _ if claim.task == "match2":
            return math.log2(len(Matrix.of(task, n).labels))
        case _ if claim.task == "relation-composition":
            return entries(n, int(certificate.evidence["cut"]))
        case _:  # every number of Alice to within eps
            return min(int(certificate.evidence.get("cut", n - 1)), n - 1) * dim * math.log2(math.ceil(1 / eps))


def false_claims(kind: str, good: Certificate) -> Iterator[Certificate]:
    """At least 100 claims above what suffices, with evidence dressed up to match."""
    rng = child(1, kind)
    bound = float.fromhex(good.claim.bound)
    top = most(good)
    for extra in np.geomspace(1e-9, 100, 40):
        yield edit(good, top + extra)
    for n in range(1, good.claim.n - (kind == "pointer-rows")):  # C(N - 1, q) rows exist at N - 1 too
        for _ in range(8):
            yield edit(good, bound, n=n)  # the same evidence for a smaller problem
    for _ in range(80):
        arrays: dict[str, Any] = {}
        for name, array in good.arrays.items():
            if array.dtype.kind == "i" and array.ndim and len(array):
                match int(rng.integers(3)):
                    case 0:  # repeat rows
                        arrays[name] = np.concatenate([array, array[rng.integers(0, len(array), 1 + len(array) // 2)]])
                    case 1:  # scramble entries
                        flat = rng.permutation(array.reshape(-1)).reshape(array.shape)
                        arrays[name] = np.concatenate([array, flat])
                    case _:
                        arrays[name] = array + rng.integers(0, 3, array.shape)
        fields: dict[str, Any] = {"levels": int(rng.integers(3, 99))} if "levels" in good.evidence else {}
        yield edit(good, top + float(rng.random()) * 3 + 1e-6, **arrays, **fields)
    if kind == "communication":  # rows that are equal, with the right number of them
        for _ in range(20):
            twice = np.concatenate([good.arrays["prefixes"]] * 2)
            yield edit(good, bound + 1, prefixes=rng.permutation(twice))
    if kind == "coordinates":  # fewer symbols than the sets claim
        for symbols in (2, 3):
            for _ in range(10):
                yield edit(good, bound, symbols=symbols)


def true_claims(kind: str, good: Certificate) -> Iterator[Certificate]:
    """At least 100 claims that still hold, with evidence that still shows them."""
    rng = child(2, kind)
    bound = float.fromhex(good.claim.bound)
    for part in rng.random(60):
        yield edit(good, bound * float(part))
    match kind:
        case "communication":
            prefixes, suffixes = good.arrays["prefixes"], good.arrays["suffixes"]
            for _ in range(30):
                yield edit(good, prefixes=rng.permutation(prefixes), suffixes=rng.permutation(suffixes))
            for m in rng.integers(1, len(prefixes), 20):
                low = math.nextafter(math.log2(m), 0) if m > 1 else 0.0
                yield edit(good, low * (1 - 1e-12), prefixes=rng.permutation(prefixes)[:m])
            for _ in range(10):
                yield edit(good, suffixes=np.concatenate([suffixes, suffixes[rng.integers(0, len(suffixes), 3)]]))
        case "coordinates":
            for _ in range(40):
                yield edit(good, fillers=rng.integers(0, 4, 5))
            for p in itertools.islice(itertools.cycle(range(5)), 20):
                keep = np.delete(np.arange(5), p)
                names = ("positions", "suffixes", "queries")
                parts: dict[str, Any] = {name: good.arrays[name][keep] for name in names}
                symbols = np.tile(np.arange(4), 4)
                yield edit(good, 8.0, **parts, offsets=np.arange(5) * 4, symbols=symbols, fillers=rng.integers(0, 4, 5))
        case "coordinates-constant":
            for _ in range(40):  # the last row of B is Bob's, and does not matter but for a one at its own column
                suffixes = good.arrays["suffixes"] + rng.integers(0, 2, (6, 3)) * (good.arrays["suffixes"] == 0)
                yield edit(good, suffixes=suffixes * [1, 1, 0] + good.arrays["suffixes"] * [0, 0, 1])
            for p in range(6):
                keep = np.delete(np.arange(6), p)
                names = ("positions", "suffixes", "queries")
                parts = {name: good.arrays[name][keep] for name in names}
                fillers = rng.integers(0, 2, 6)
                yield edit(good, 5.0, **parts, offsets=np.arange(6) * 2, symbols=np.tile([0, 1], 5), fillers=fillers)
        case "coordinates-real":
            for eps in rng.uniform(0.02, 0.24, 40):
                yield edit(good, eps=float(eps))
        case "swap-rows":
            for n in range(6, 26):
                yield edit(good, n - 1.0, n=n)
                yield edit(good, bound, n=n, eps=float(rng.uniform(0.1, 0.5)))
        case "pointer-rows":
            sets = good.arrays["pointers"]
            for _ in range(30):
                yield edit(good, pointers=rng.permutation(sets))
            for m in rng.integers(2, len(sets), 20):
                yield edit(good, math.log2(m) * (1 - 1e-12), pointers=rng.permutation(sets)[:m])
            for n in range(7, 17):
                yield edit(good, n=n)
        case _:
            for n in range(6, 46):
                yield edit(good, 2.0 * n, n=n)


@pytest.mark.parametrize("kind", KINDS)
def test_accidents_are_noticed(kind: str, tmp_path: Path) -> None:
    none_is_accepted(original(kind).write(tmp_path, "bound"), child(3, kind), 600)


@pytest.mark.parametrize("kind", KINDS)
def test_attacks_with_a_false_claim_are_never_accepted(kind: str, tmp_path: Path) -> None:
    good = original(kind)
    tried = 0
    for number, mutant in enumerate(false_claims(kind, good)):
        try:
            top = most(mutant)
        except Exception:  # no such problem: the claim is about nothing
            top = -math.inf
        assert float.fromhex(mutant.claim.bound) > top
        verdict = judge_file(mutant.write(tmp_path, f"false-{number}"))
        assert not verdict.accepted, (mutant.claim, verdict.sentence)
        tried += 1
    assert tried >= 100


@pytest.mark.parametrize("kind", KINDS)
def test_attacks_with_a_true_claim_are_nearly_all_accepted(kind: str, tmp_path: Path) -> None:
    good = original(kind)
    accepted = []
    for number, mutant in enumerate(true_claims(kind, good)):
        assert float.fromhex(mutant.claim.bound) <= most(mutant) + 1e-9
        accepted.append(judge_file(mutant.write(tmp_path, f"true-{number}")).accepted)
    assert len(accepted) >= 100 and np.mean(accepted) >= 0.9, np.flatnonzero(~np.array(accepted))
