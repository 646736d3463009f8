"""The heads check on cells that tie positions together: against enumeration, and prices that are wrong."""

from __future__ import annotations

import time
from collections import Counter

import numpy as np
import pytest

from core.heads import Instance
from core.reference import arb_right
from kernel.heads_cases import share_out
from separatrix.core.arch import Attention
from separatrix.core.semantics import REAL
from separatrix.kernel import judge
from separatrix.models.evaluate import evaluate
from separatrix.tasks import registry
from separatrix.verify.provers import certify
from separatrix.verify.provers.head_cells import Bench, Part, Piece, decide, pieces
from tasks.cover import words
from tasks.tied import Neighbours, Tally, TiedLookup, instance, worst

CLEAR = 1e-9


@pytest.fixture(autouse=True)
def tied(monkeypatch: pytest.MonkeyPatch) -> None:
    """Registers the test tasks for the duration of a test."""
    for task in (Tally, TiedLookup, Neighbours):
        monkeypatch.setitem(registry._entries, task.name, task)


def made(seed: int) -> Instance:
    """A model of 1 to 4 heads on a task whose cells tie positions together."""
    return share_out(instance(seed), np.random.default_rng((seed, 83)), 1 + seed // 8 % 4)


def truth(given: Instance, piece: Piece) -> np.ndarray:
    """(C, k - 1) the least margin of each label against each other answer over a cell's inputs; inf for none."""
    group, tokens = piece.group, words(given.task.domain(given.n))
    assert group.labels is not None
    tokens = tokens[(tokens[:, group.query] == group.token) & group.constraint.holds(tokens)]
    logits = evaluate(given.model, tokens, queries=[group.query])[:, 0]
    least = np.full((len(group), logits.shape[1] - 1), np.inf)
    for cell, label in enumerate(group.labels.tolist()):
        places = group.positions[cell].tolist()
        inside = (tokens[:, places] == group.symbols[cell]).all(axis=1)
        for j, alphabet in enumerate(group.background or ()):
            inside &= np.isin(tokens[:, j], alphabet) | (j in (*places, group.query))
        margins = logits[inside][:, [label]] - np.delete(logits[inside], label, axis=1)
        least[cell] = margins.min(axis=0, initial=np.inf)
    return least


def search(bench: Bench, piece: Piece, seconds: float) -> Part:
    """As in a survey."""
    part = decide(bench.board(piece), 0, 0.0)
    return decide(bench.board(piece), 300, time.perf_counter() + seconds, part)


def compare(seeds: range, seconds: float) -> Counter[str]:
    """Bounds of the kernel, and inputs of the prover, against every input of every cell."""
    seen: Counter[str] = Counter()
    for seed in seeds:
        given = made(seed)
        layer, domain = given.model.arch.layers[0], given.task.domain(given.n)
        assert isinstance(layer, Attention)
        bench = Bench(given.model, given.task, given.n, REAL)
        for piece in pieces(given.model, given.task, given.n):
            finding, least = bench.finding(piece, search(bench, piece, seconds)), truth(given, piece)
            size = 1e-9 * (1.0 + np.abs(least[np.isfinite(least)]).max(initial=0.0))
            assert (finding.margins <= least + size).all(), (seed, given.family)
            assert not (finding.proved & (least.min(axis=1) < -size)).any(), (seed, given.family)
            for cell in np.flatnonzero(finding.refuted):
                tokens = finding.tokens[cell]
                assert domain.contains(tokens) and least[cell].min() <= size, (seed, given.family)
                assert arb_right(given.model, given.task, given.n, tokens, piece.group.query) is False
            clear = np.abs(least.min(axis=1)) > 1e-6
            seen["cells"] += len(least)
            seen["pairs"] += least.size
            seen["fail"] += int((least < 0).sum())
            seen["undecided"] += int((clear & ~finding.proved & ~finding.refuted).sum())
            seen[f"{layer.heads} heads"] += len(least)
            seen[piece.group.constraint.kind] += len(least)
            seen["priced"] += sum(bool(row) for tree in finding.trees for row in tree.prices)
    return seen


@pytest.mark.parametrize("part", range(3))
def test_tied_cells_agree_with_enumeration(part: int) -> None:
    seen = compare(range(part * 96, (part + 1) * 96), 0.2)
    assert seen["pairs"] >= 900 and seen["fail"] >= 0.15 * seen["pairs"], seen
    assert seen["undecided"] <= 0.03 * seen["cells"], seen
    kinds = (seen[kind] for kind in ("count", "distinct", "regular", "4 heads", "2 heads", "1 heads", "priced"))
    assert min(kinds) >= 50, seen


@pytest.mark.slow
def test_many_more_tied_cells() -> None:
    seen = compare(range(288, 1600), 1.0)
    assert seen["pairs"] >= 15_000 and seen["fail"] >= 0.15 * seen["pairs"], seen
    assert seen["undecided"] <= 0.02 * seen["cells"], seen


def test_whole_models_agree_with_enumeration() -> None:
    seen: Counter[str] = Counter()
    for seed in range(400, 520):
        given = made(seed)
        margin, _, _ = worst(given.model, given.task, given.n)
        if abs(margin) < CLEAR:
            continue
        outcome = certify(given.model, given.task, given.n, method="heads")
        seen[outcome.verdict] += 1
        if outcome.verdict == "proved":
            assert margin > 0 and outcome.certificate is not None
            assert judge(outcome.certificate, given.model.arch, given.model.tensors).accepted
        if outcome.counterexample is not None:
            tokens, query = outcome.counterexample
            assert arb_right(given.model, given.task, given.n, tokens, query) is False
    assert seen["proved"] >= 15 and seen["refuted"] >= 20, seen
