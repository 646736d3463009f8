"""The heads check in float formats: no evaluation, simulated or real, has a margin below the kernel's bound."""

from __future__ import annotations

import itertools
from collections import Counter

import numpy as np
import pytest

from core.floats import ORDERS, TREES, Machine, adversary, simulate
from core.heads import Instance, instance
from core.reference import Mixed, all_inputs
from kernel.heads_cases import OneCell, anyhow, share_out
from separatrix.core.errors import SeparatrixError
from separatrix.core.semantics import Semantics
from separatrix.kernel import judge
from separatrix.learn import one_layer, train
from separatrix.tasks import registry
from separatrix.tasks.index_lookup import IndexLookup
from separatrix.verify.provers import certify
from separatrix.verify.provers.head_cells import Bench, Finding, decide, pieces
from separatrix.verify.provers.precision import least_precision

SPECS = ["float:8", "float:11", "fp16", "fp32", "bf16", "float:8,tree", "fp16,tree"]


@pytest.fixture(autouse=True)
def own_tasks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Registers the test tasks for the duration of a test."""
    for task in (Mixed, OneCell):
        monkeypatch.setitem(registry._entries, task.name, task)


def made(seed: int, heads: int | None = None) -> Instance:
    """A model of 1 to 4 heads; every fourth has normal weights."""
    count = 1 + seed % 4 if heads is None else heads
    if seed % 4 == 3 and count > 1:
        return anyhow(seed, count)
    return share_out(instance(seed * 5 // 4), np.random.default_rng((seed, 84)), count)


def findings(given: Instance, text: str) -> list[Finding]:
    """The kernel's bounds on all cells; empty where it says nothing in this format."""
    try:
        bench = Bench(given.model, given.task, given.n, Semantics.parse(text))
    except SeparatrixError:
        return []
    return [
        bench.finding(piece, decide(bench.board(piece), 0, 0.0)) for piece in pieces(given.model, given.task, given.n)
    ]


def in_cell(finding: Finding, cell: int, tokens: np.ndarray) -> np.ndarray:
    """(batch,) which inputs lie in a cell."""
    group = finding.piece.group
    places = group.positions[cell].tolist()
    inside = (tokens[:, group.query] == group.token) & (tokens[:, places] == group.symbols[cell]).all(axis=1)
    for j, alphabet in enumerate(group.background or ()):
        inside &= np.isin(tokens[:, j], alphabet) | (j in (*places, group.query))
    return inside


@pytest.mark.parametrize("text", SPECS)
def test_no_simulated_evaluation_is_below_the_bound(text: str) -> None:
    rng, seen, spec = np.random.default_rng(3), Counter[str](), Semantics.parse(text).spec
    assert spec is not None
    for seed in range(24):
        given = made(seed)
        tokens = all_inputs(given.task, given.n)
        if len(tokens) > 128:
            tokens = tokens[rng.permutation(len(tokens))[:128]]
        cells = findings(given, text)
        seen["silent"] += not cells
        for query in {finding.piece.group.query for finding in cells}:
            orders = TREES if spec.tree else ORDERS
            ways = list(itertools.product(orders, ("nearest", "random"), ("stacked", "heads")))
            for way in rng.permutation(len(ways))[:4]:
                order, sign, join = ways[way]
                with np.errstate(all="ignore"):
                    logits = simulate(given.model, tokens, query, Machine(spec, order, rng, sign), join)
                check(given, cells, query, tokens, logits, seen)
    assert seen["bounds"] >= 800 and seen["positive"] >= 40, seen


def check(
    given: Instance, cells: list[Finding], query: int, tokens: np.ndarray, logits: np.ndarray, seen: Counter[str]
) -> None:
    """Every bound against what was computed."""
    for finding in cells:
        group = finding.piece.group
        if group.query != query:
            continue
        assert group.labels is not None
        for cell, label in enumerate(group.labels.tolist()):
            own = logits[in_cell(finding, cell, tokens)]
            margins = own[:, [label]] - np.delete(own, label, axis=1)
            known = finding.margins[cell] > 0
            assert (margins[:, known] >= finding.margins[cell][known]).all(), given.family
            seen["bounds"] += margins.size
            seen["positive"] += int(known.sum())


@pytest.mark.parametrize("text", ["float:9", "float:12"])
def test_adversarial_roundings_stay_above_the_bound_of_one_head(text: str) -> None:
    """Each operation errs by a full unit in the direction that hurts; one head, checked as one of several would be."""
    closest, tried = np.inf, 0
    for seed in range(40):
        given, spec = made(seed, 1), Semantics.parse(text).spec
        assert spec is not None
        real = {f.piece.number: f for f in findings(given, "real")}
        for finding in findings(given, text):
            group = finding.piece.group
            assert group.labels is not None
            for cell, label in enumerate(group.labels.tolist()):
                row = finding.tokens[cell]
                rivals = [c for c in range(given.model.arch.readout.outputs) if c != label]
                if (row < 0).any():
                    continue
                for at, rival in enumerate(rivals):
                    bound = finding.margins[cell, at]
                    if bound > 0:
                        hurt = adversary(given.model, row, group.query, label, rival, spec)
                        assert hurt >= bound, (seed, given.family)
                        exact = real[finding.piece.number].margins[cell, at]
                        if exact > bound:
                            closest = min(closest, max(hurt - bound, 0.0) / (exact - bound))
                            tried += 1
    assert tried >= 30 and closest < 0.9, (tried, closest)


@pytest.mark.parametrize("dtype", ["float16", "float32", "bfloat16"])
def test_real_torch_arithmetic_is_above_the_bound(dtype: str) -> None:
    torch = pytest.importorskip("torch")
    text, seen = {"float16": "fp16", "float32": "fp32", "bfloat16": "bf16"}[dtype], Counter[str]()
    for seed in range(40):
        given = made(seed)
        cells = findings(given, text)
        tokens = all_inputs(given.task, given.n)[:256]
        t = {
            name: torch.from_numpy(v.astype(np.float64)).to(getattr(torch, dtype))
            for name, v in given.model.tensors.items()
        }
        layer, arch = given.model.arch.layers[0], given.model.arch
        for query in {finding.piece.group.query for finding in cells}:
            x = t["embed.token"][torch.from_numpy(tokens)]
            if "embed.position" in t:
                x = x + t["embed.position"]
            if arch.blank:
                x = torch.cat([x, t["embed.blank"].expand(len(x), 1, -1)], dim=1)
            q = torch.einsum("bd,hdm->bhm", x[:, query], t["layers.0.query"])
            k = torch.einsum("bjd,hdm->bhjm", x, t["layers.0.key"])
            v = torch.einsum("bjd,hdm->bhjm", x, t["layers.0.value"])
            s = (q[:, :, None] * k).sum(-1)
            s = s * layer.scale if layer.scale != 1.0 else s  # pyright: ignore
            w = torch.softmax(s, dim=2)
            o = torch.einsum("bhj,bhjm->bhm", w, v)
            out = torch.einsum("bhm,hmd->bd", o, t["layers.0.output"])
            if layer.residual:
                out = out + x[:, query]
            logits = (out @ t["readout.weight"] + t["readout.bias"]).double().numpy()
            check(given, cells, query, tokens, logits, seen)
    assert seen["bounds"] >= 800 and seen["positive"] >= 10, seen


def test_trained_heads_certify_in_floats_and_have_a_least_precision() -> None:
    task, n = IndexLookup(3), 6
    trained = train(task, n, one_layer(task, n, 16, 2), seed=0, steps=200, learning_rate=1e-2).model
    assert certify(trained, task, n, method="heads").verdict == "proved"
    outcome = certify(trained, task, n, Semantics.parse("fp32"), method="heads")
    assert outcome.verdict == "proved" and "fp32" in outcome.sentence and outcome.certificate is not None
    assert judge(outcome.certificate, trained.arch, trained.tensors).accepted
    bits, at_least = least_precision(trained, task, n)
    trees, _ = least_precision(trained, task, n, tree=True)
    assert bits is not None and 8 <= bits < 24 and at_least.verdict == "proved"
    assert trees is not None and trees <= bits
    assert certify(trained, task, n, Semantics.parse(f"float:{bits - 1}"), method="heads").verdict == "unknown"


def test_what_fails_in_exact_arithmetic_is_refuted_in_every_format() -> None:
    seen: Counter[str] = Counter()
    for seed in range(40):
        given = made(seed, 2)
        exact = certify(given.model, given.task, given.n, method="heads").verdict
        coarse = certify(given.model, given.task, given.n, Semantics.parse("bf16"), method="heads").verdict
        seen[f"{exact} {coarse}"] += 1
        assert not (exact == "proved" and coarse == "refuted") and not (exact == "refuted" and coarse == "proved")
    assert seen["refuted refuted"] >= 5, seen
