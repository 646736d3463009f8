"""Two mutation suites for the kinds `gadget`, `gadget-sampled` and `birthday`.

Accident: bytes of the files change, hashes stay: nothing is accepted. Attack: claim and evidence change and every hash
is recomputed: of mutants that claim more than suffices (by enumeration of the matrix) none is accepted; of mutants
whose claim is still true nearly all are.
"""

from __future__ import annotations

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
from separatrix.cannot.engine.birthday import birthday_certificate
from separatrix.cannot.engine.gadget import gadget_certificate, search
from separatrix.core.certificate import Certificate
from separatrix.core.guarantee import CHECKED
from separatrix.core.seeds import child
from separatrix.kernel import judge_file
from separatrix.kernel.judge import SAMPLED
from separatrix.tasks import make_task

KINDS = ("equality-state", "disjointness-exchange", "inner-product-sampled", "equality-one-way", "birthday")


@cache
def original(kind: str) -> Certificate:
    match kind:
        case "equality-state":
            task = make_task("equality")
            return gadget_certificate(task, 8, search(task, 8, 4)[0], 4)
        case "disjointness-exchange":
            task = make_task("disjointness")
            return gadget_certificate(task, 8, search(task, 8)[0])
        case "inner-product-sampled":
            task = make_task("inner-product")
            good = gadget_certificate(task, 8, search(task, 8, 4)[0], 4)
            fields = {name: held for name, held in good.evidence.items() if name != "by"} | {"samples": 1000}
            return replace(good, kind="gadget-sampled", evidence=fields, guarantee=CHECKED, trusted=SAMPLED)
        case "equality-one-way":
            task = make_task("equality", {"symbols": 3})
            return gadget_certificate(task, 8, search(task, 8, known=True, seconds=1.0)[0], None, "one-way")
        case _:
            return birthday_certificate(make_task("greater-than"), 80, 40, seconds=0.001)


@cache
def rows(name: str, n: int) -> float:
    """log2 of the most rows or columns over all partitions into two runs or two interleaved halves."""
    task = make_task(name)
    positions = task.domain(n).positions
    words = np.array(list(itertools.product(*(np.asarray(a).tolist() for a in task.domain(n).alphabets))))
    answers, top = task.answer(words)[:, -1], 1
    sizes = [len(a) for a in task.domain(n).alphabets]
    cube = answers.reshape(sizes)
    for alice in [range(c) for c in range(1, positions)]:
        rest = [p for p in range(positions) if p not in alice]
        flat = cube.transpose([*alice, *rest]).reshape(math.prod(sizes[p] for p in alice), -1)
        top = max(top, len(np.unique(flat, axis=0)))
    return math.log2(top)


def most(certificate: Certificate) -> float:
    """An amount that suffices: rows at some cut for a state, all symbols of a side for a message or a conversation."""
    claim = certificate.claim
    task = make_task(claim.task, claim.parameters)
    if certificate.kind == "birthday":
        return claim.n / 2
    if claim.measure == "state":
        return rows(claim.task, claim.n)
    alphabets = task.domain(claim.n).alphabets
    sides = [sum(math.log2(len(alphabets[p])) for p in certificate.arrays[s].reshape(-1)) for s in ("hers", "his")]
    return sides[0] if claim.measure == "one-way" else min(sides) + 1


def edit(good: Certificate, bound: float | None = None, n: int | None = None, **parts: Any) -> Certificate:
    evidence, arrays = dict(good.evidence), dict(good.arrays)
    for name, value in parts.items():
        if isinstance(value, np.ndarray):
            arrays[name] = value
        else:
            evidence[name] = value
    claim = replace(
        good.claim,
        n=good.claim.n if n is None else n,
        bound=good.claim.bound if bound is None else float(bound).hex(),
    )
    return replace(good, claim=claim, evidence=evidence, arrays=arrays)


def false_claims(kind: str, good: Certificate) -> Iterator[Certificate]:
    rng, bound = child(1, kind), float.fromhex(good.claim.bound)
    for extra in np.geomspace(1e-9, 100, 40):
        yield edit(good, most(good) + extra)
    for n in range(2, good.claim.n, 2):
        for _ in range(4):
            yield edit(good, bound + most(good) + float(rng.random()), n=n)
    for _ in range(160):
        arrays: dict[str, Any] = {}
        for name in rng.choice(sorted(good.arrays), 2, replace=False).tolist():
            array = good.arrays[name]
            match int(rng.integers(4)):
                case 0 if len(array):
                    arrays[name] = np.concatenate([array, array[rng.integers(0, len(array), len(array))]])
                case 1:
                    arrays[name] = rng.permutation(array.reshape(-1)).reshape(array.shape)
                case 2:
                    arrays[name] = array + rng.integers(0, 2, array.shape)
                case _:
                    arrays[name] = rng.integers(0, 2, array.shape)
        fields: dict[str, Any] = {}
        if "join" in good.evidence and rng.random() < 0.4:
            fields["join"] = str(rng.choice(["and", "or", "xor"]))
        if "by" in good.evidence and rng.random() < 0.4:
            fields["by"] = str(rng.choice(["reading", "words", "circuit"]))
        if "value" in good.evidence and rng.random() < 0.4:
            fields["value"] = int(rng.integers(0, 3))
        if "prefixes" in good.evidence:
            fields["prefixes"] = fields["suffixes"] = int(rng.integers(2, 200))
        mutant = edit(good, **arrays, **fields)
        yield edit(mutant, most(good) + 1e-6 + 3 * float(rng.random()))
    if kind != "birthday":  # tables of full rank that the task does not show, in the place of its own
        for table in itertools.product((0, 1), repeat=good.arrays["table"].size):
            mutant = edit(good, bound, table=np.array(table).reshape(good.arrays["table"].shape))
            if not np.array_equal(mutant.arrays["table"], good.arrays["table"]):
                yield edit(mutant, most(good) + 1e-3)


def true_claims(kind: str, good: Certificate) -> Iterator[Certificate]:
    rng, bound = child(2, kind), float.fromhex(good.claim.bound)
    for part in rng.random(60):
        yield edit(good, bound * float(part))
    if kind == "birthday":
        for _ in range(50):
            m = int(rng.integers(40, 100))
            low = math.log2(int(m * (m - 1) / 2 / -math.log(1e-9))) - 1e-3
            yield edit(good, max(0.0, low), prefixes=m, suffixes=m)
        return
    hers, his = good.arrays["hers"], good.arrays["his"]
    for _ in range(25):  # another order of the blocks, or of the words
        order = rng.permutation(len(hers))
        yield edit(good, hers=hers[order], his=his[order])
        r, c = (rng.permutation(k) for k in good.arrays["table"].shape)
        yield edit(
            good,
            her_words=good.arrays["her_words"][r],
            his_words=good.arrays["his_words"][c],
            table=good.arrays["table"][np.ix_(r, c)],
        )


@pytest.mark.parametrize("kind", KINDS)
def test_accidents_are_noticed(kind: str, tmp_path: Path) -> None:
    none_is_accepted(original(kind).write(tmp_path, "bound"), child(3, kind), 150)


@pytest.mark.parametrize("kind", KINDS)
def test_attacks_with_a_false_claim_are_never_accepted(kind: str, tmp_path: Path) -> None:
    tried = 0
    for number, mutant in enumerate(false_claims(kind, original(kind))):
        try:
            top = most(mutant)
        except Exception:  # no such problem: the claim is about nothing
            top = -math.inf
        if float.fromhex(mutant.claim.bound) <= top:
            continue
        verdict = judge_file(mutant.write(tmp_path, f"false-{number}"))
        assert not verdict.accepted, (mutant.claim, verdict.sentence)
        tried += 1
    assert tried >= 100


@pytest.mark.parametrize("kind", KINDS)
def test_attacks_with_a_true_claim_are_nearly_all_accepted(kind: str, tmp_path: Path) -> None:
    accepted = [
        judge_file(mutant.write(tmp_path, f"true-{number}")).accepted
        for number, mutant in enumerate(true_claims(kind, original(kind)))
    ]
    assert len(accepted) >= 100 and np.mean(accepted) >= 0.9, np.flatnonzero(~np.array(accepted))
