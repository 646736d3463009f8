"""Two mutation suites for the kind `lists`.

Accident: bytes of the files change, hashes stay: nothing is accepted. Attack: claim and evidence change and every hash
is recomputed: of mutants whose claim exceeds what suffices (a model that keeps what is needed, rounded to cells of
2 eps) none is accepted; of mutants whose claim is still true nearly all are.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from kernel.accidents import none_is_accepted
from kernel.test_bound_mutations import edit
from separatrix.cannot import registry
from separatrix.core.certificate import Certificate
from separatrix.core.seeds import child
from separatrix.kernel import judge_file
from separatrix.tasks import make_task

MADE: dict[str, tuple[str, int, dict[str, Any]]] = {
    "sums": ("prefix-sums", 4, {"eps": 0.3}),
    "minima": ("prefix-minima", 4, {"eps": 0.3}),
    "greatest": ("greatest", 3, {"eps": 0.3}),
    "runs": ("maximum-subarray", 7, {"eps": 0.1}),
    "sorting": ("sorting", 5, {"eps": 0.3}),
    "medians": ("prefix-medians", 5, {"eps": 0.3}),
    "routing": ("routing", 6, {"eps": 0.3}),
}
KINDS = tuple(MADE)


def original(kind: str) -> Certificate:
    name, n, parameters = MADE[kind]
    return registry.get(f"{name}-recurrent").certificate(make_task(name, parameters), n)


def cells(width: Fraction, eps: Fraction) -> int:
    """Intervals of length 2 eps that cover so much."""
    return math.ceil(width / (2 * eps))


def most(mutant: Certificate) -> float:
    """Bits that suffice at the cut, in a model that knows everything behind it."""
    claim = mutant.claim
    task: Any = make_task(claim.task, claim.parameters)
    task.domain(claim.n)
    cut, eps = int(mutant.evidence["cut"]), Fraction(task.eps)
    if not 0 < cut < claim.n:
        return -math.inf
    if claim.task == "prefix-sums":
        return math.log2(cells(cut * (Fraction(task.high) - Fraction(task.low)), eps))
    s = Fraction(task.scale)
    if claim.task == "total":
        return math.log2(cells(cut * 2 * s, eps))
    if claim.task in ("sorting", "prefix-medians"):
        k = cells(2 * s, eps)
        return math.log2(math.comb(k + cut - 1, cut))
    if claim.task == "routing":  # the payloads, and where each of them goes
        return math.log2(cells(2 * s, eps) ** cut * math.perm(claim.n, cut))
    if claim.task == "maximum-subarray":  # the best, and what ends here, or nothing
        return math.log2(cells((cut + 1) * s, eps) * cells(cut * s, eps))
    return math.log2(cells(2 * s, eps))


def scrambled(good: Certificate, rng: np.random.Generator) -> dict[str, Any]:
    """Changes of one or two arrays that keep their types."""
    arrays: dict[str, Any] = {}
    for name in rng.choice(sorted(good.arrays), min(2, len(good.arrays)), replace=False).tolist():
        array = good.arrays[name]
        match int(rng.integers(4)):
            case 0:
                arrays[name] = np.concatenate([array, array[rng.integers(0, len(array), 1)]])
            case 1:
                arrays[name] = rng.permutation(array.reshape(-1)).reshape(array.shape)
            case 2 if array.dtype.kind == "i":
                arrays[name] = array + rng.integers(0, 4, array.shape)
            case _:
                arrays[name] = (array * rng.choice([-1, 0, 2])).astype(array.dtype)
    return arrays


def twice(good: Certificate) -> dict[str, Any]:
    """Every direction two times, as if it were two numbers."""
    names = ("directions", "levels", "words", "queries", "winners")
    return {name: np.concatenate([good.arrays[name]] * 2) for name in names}


def false_claims(kind: str, good: Certificate) -> Iterator[Certificate]:
    """At least 100 claims above what suffices, with evidence dressed up to match."""
    rng, top, bound = child(1, kind), most(good), float.fromhex(good.claim.bound)
    order, routed = good.evidence["by"] == "order", good.evidence["by"] == "payloads"
    for extra in np.geomspace(1e-9, 100, 40):
        yield edit(good, top + extra)
    for factor in rng.uniform(1.05, 9.0, 30):  # levels that a larger eps does not tell apart
        eps = float(factor) * MADE[kind][2]["eps"]
        yield edit(good, max(bound, most(edit(good, eps=eps)) + 1e-9), eps=eps)
    for more in range(1, 31):  # levels closer together than 2 eps
        if order:
            k = int(good.evidence["levels"]) + more
            cut = int(good.evidence["cut"])
            grid = np.array([good.arrays["grid"][0], good.arrays["grid"][1] * 0.5])
            claim = math.log2(math.comb(k + cut - 1, cut))
            yield edit(good, claim, levels=k, grid=grid if more % 2 else good.arrays["grid"])
        elif routed:
            k = 2 ** (int(good.evidence["levels"]) + more)
            grid = np.array([good.arrays["grid"][0], good.arrays["grid"][1] * 2.0 ** (-k.bit_length())])
            places = good.arrays["destinations"]  # or two payloads for one position
            twice_there = np.where(places == places[0], places[1], places) if more % 3 else places
            claim = max(top + 1e-3, 3 * math.log2(k))
            yield edit(good, claim, levels=k, grid=grid if more % 2 else good.arrays["grid"], destinations=twice_there)
        else:
            levels = good.arrays["levels"] + 2**20 * more
            directions = good.arrays["directions"] * (2.0**-21 if more % 2 else 1.0)
            yield edit(good, max(top + 1e-3, sum(map(math.log2, levels)) * 0.99), levels=levels, directions=directions)
    if not order and not routed:
        for _ in range(10):  # a number that is read twice is not two numbers
            yield edit(good, max(2 * bound, top + 1e-6), **twice(good))
    for _ in range(80):
        fields: dict[str, Any] = {}
        if rng.random() < 0.3:
            fields["cut"] = int(rng.integers(0, 8))
        if (order or routed) and rng.random() < 0.5:
            fields["levels"] = int(rng.integers(2, 99))
        mutant = edit(good, **scrambled(good, rng), **fields)
        yield edit(mutant, max(most(mutant), top) + float(rng.random()) + 1e-6)


def true_claims(kind: str, good: Certificate) -> Iterator[Certificate]:
    """At least 100 claims that still hold, with evidence that still shows them."""
    rng, bound = child(2, kind), float.fromhex(good.claim.bound)
    name, n, parameters = MADE[kind]
    for part in rng.random(40):
        yield edit(good, bound * float(part))
    for eps in rng.uniform(0.01, parameters["eps"], 20):
        yield edit(good, eps=float(eps))
        yield registry.get(f"{name}-recurrent").certificate(make_task(name, {"eps": float(eps)}), n)
    for longer in range(n, n + 20):
        yield registry.get(f"{name}-recurrent").certificate(make_task(name, parameters), longer)
    if good.evidence["by"] == "order":
        cut, levels = int(good.evidence["cut"]), int(good.evidence["levels"])
        for k in range(2, levels):  # fewer levels, the numbers of a subset
            yield edit(good, math.log2(math.comb(k + cut - 1, cut)) * (1 - 1e-12), levels=k)
        for _ in range(20):
            reads = rng.permutation(good.arrays["reads"])
            yield edit(good, reads=np.concatenate([reads, reads[:1]]))
    elif good.evidence["by"] == "payloads":
        cut, levels = int(good.evidence["cut"]), int(good.evidence["levels"])
        for k in range(2, levels):
            yield edit(good, cut * math.log2(k) * (1 - 1e-12), levels=k)
        for _ in range(20):  # the same positions get them, in another order
            places = good.arrays["destinations"]
            yield edit(
                good, destinations=np.concatenate([rng.permutation(places[:cut]), rng.permutation(places[cut:])])
            )
        for k in range(cut):  # one of them stays before the cut
            places = good.arrays["destinations"].copy()
            places[[k, cut]] = places[[cut, k]]
            yield edit(good, bound * (cut - 1) / cut * (1 - 1e-12), destinations=places)
    else:
        for _ in range(20):
            levels = np.array([rng.integers(2, k + 1) for k in good.arrays["levels"].tolist()])
            yield edit(good, sum(map(math.log2, levels)) * (1 - 1e-12), levels=levels)


@pytest.mark.parametrize("kind", KINDS)
def test_accidents_are_noticed(kind: str, tmp_path: Path) -> None:
    none_is_accepted(original(kind).write(tmp_path, "bound"), child(3, kind), 300)


@pytest.mark.parametrize("kind", KINDS)
def test_attacks_with_a_false_claim_are_never_accepted(kind: str, tmp_path: Path) -> None:
    tried = 0
    for number, mutant in enumerate(false_claims(kind, original(kind))):
        assert float.fromhex(mutant.claim.bound) > most(mutant)
        verdict = judge_file(mutant.write(tmp_path, f"false-{number}"))
        assert not verdict.accepted, (mutant.claim, verdict.sentence)
        tried += 1
    assert tried >= 150, tried


@pytest.mark.parametrize("kind", KINDS)
def test_attacks_with_a_true_claim_are_nearly_all_accepted(kind: str, tmp_path: Path) -> None:
    accepted = []
    for number, mutant in enumerate(true_claims(kind, original(kind))):
        assert float.fromhex(mutant.claim.bound) <= most(mutant) + 1e-9
        accepted.append(judge_file(mutant.write(tmp_path, f"true-{number}")).accepted)
    assert len(accepted) >= 100 and np.mean(accepted) >= 0.9, np.flatnonzero(~np.array(accepted))
