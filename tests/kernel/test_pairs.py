"""Pairs of a cell and a rival against enumeration, for the separable sum; and how many pairs all kinds together take.

Every bound must lie below the least margin over all inputs of the cell, weighted by the normaliser; a positive one
proves the pair, and must not be one that fails. In the default suite at least 2,000 pairs of `separable` (here), 6,000
of `heads` on product cells (`test_heads`), 2,700 of `heads` on tied ones (`test_heads_words`) and 700 of `relu`
(`verify/test_relu`) are compared; the slow tests take some 50,000 more.
"""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest

from core.heads import Instance, instance
from core.reference import Mixed, arb_logits, precision
from kernel.heads_cases import truth
from separatrix.core.arch import Arch
from separatrix.kernel.cells import margins_low, zones_of
from separatrix.kernel.layer import Layer, Tables, scores
from separatrix.kernel.row import Row
from separatrix.tasks import registry


@pytest.fixture(autouse=True)
def own_task(monkeypatch: pytest.MonkeyPatch) -> None:
    """Registers the test task for the duration of a test."""
    monkeypatch.setitem(registry._entries, Mixed.name, Mixed)


def compare(made: Instance, seen: Counter[str]) -> None:
    """All pairs of one model of one head, if its cells are products."""
    model, task, n = made.model, made.task, made.n
    domain = task.domain(n)
    assert isinstance(model.arch, Arch)
    layer = Layer.of(model.arch, model.tensors, domain.positions)
    for query in task.queries(n):
        groups = [g for g in task.cells(n, query) or () if g.constraint.kind == "product"]
        others = [np.asarray(a) for j, a in enumerate(domain.alphabets) if j != query]
        tables = Tables.of(layer, np.unique(np.concatenate([np.zeros(0, dtype=np.int64), *others])))
        for group in groups:
            assert isinstance(group.token, int) and group.labels is not None
            x, g = layer.queries([group.token], query)
            place, symbol = scores(layer.position, g, layer.memo), scores(layer.token[tables.used], g)
            row = Row.of(layer, x[0], g[0], place[:, 0], symbol[:, 0], False)
            zones = zones_of(group.background or domain.alphabets, query, tables.used)
            low, true = margins_low(group, zones, layer, tables, row, None), truth(model, task, n, group)
            for cell, label in enumerate(group.labels.tolist()):
                rivals = np.delete(np.arange(low.shape[1]), label)
                for at, rival in enumerate(rivals.tolist()):
                    least, proved = true.least[cell, at], bool(low[cell, rival] > 0)
                    seen["pairs"] += 1
                    seen["fail"] += least <= 0
                    seen["proved"] += proved
                    if proved and least < 1e-9:  # too close for float64 to tell
                        logits = arb_logits(model, true.inputs[cell, at], query)
                        with precision():
                            assert logits[label] > logits[rival], made.family
                    assert proved or least < 1e-9, (made.family, least)


def test_pairs_of_one_head_are_decided_as_enumeration_decides_them() -> None:
    seen: Counter[str] = Counter()
    for seed in range(160):
        compare(instance(seed), seen)
    assert seen["pairs"] >= 2000 and seen["fail"] >= 0.2 * seen["pairs"] and seen["proved"] >= 600, seen


@pytest.mark.slow
def test_ten_thousand_more_pairs_of_one_head() -> None:
    seen: Counter[str] = Counter()
    for seed in range(160, 1200):
        compare(instance(seed), seen)
    assert seen["pairs"] >= 10_000 and seen["fail"] >= 0.2 * seen["pairs"], seen
