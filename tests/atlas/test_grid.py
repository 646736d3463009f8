"""Bounds and witnesses meet: no witness lies below a bound, in one named measure, over a grid of sizes."""

from __future__ import annotations

import pytest

from separatrix import can, cannot
from separatrix.atlas.words import TASKS, task_of
from separatrix.core.errors import InputError
from separatrix.core.size import Precision, Size
from separatrix.tasks import make_task

COMPARED = (  # rows where a witness and a bound of its family speak about the same sizes
    "index-lookup",
    "sparse-averaging",
    "associative-recall-apart",
    "multi-query-recall",
    "nearest-neighbour-apart",
    "equality",
    "disjointness",
    "dyck",
    "match3-packed",
    "regular",
    "match3-bigram",
    "fingerprint",
    "induction-heads",
)
APART = {  # pairs that never speak about the same tokens: pairs joined into one token, keys and labels apart
    ("associative-recall-quadratic", "associative-recall-one-layer"),
    ("nearest-neighbour-recency", "nearest-neighbour-one-layer"),
}
SIZES = (4, 5, 8, 16, 17, 64, 100, 1024, 4096, 2**16, 2**20)


@pytest.mark.parametrize("name", list(TASKS))
def test_no_witness_lies_below_a_bound(name: str) -> None:
    task = task_of(name)
    compared = 0
    for _, witness in can.registry.items():
        for _, bound in cannot.registry.items():
            if (witness.task, bound.task) != (task.name, task.name) or not witness.serves(bound.arch):
                continue
            for n in SIZES:
                try:
                    size = witness.size(task, n)
                except InputError:
                    continue
                if bound.vacuous(task, n) is None:
                    bits = bound.bits(task, n)
                    assert not bound.violated(size, bits), (witness.name, bound.name, n)
                    cut = size.bits("cut")
                    assert cut is None or bound.measure == "width" or cut >= bits, (witness.name, bound.name, n)
                    compared += 1
    assert (compared > 0) == (name in COMPARED)


def test_every_pair_of_a_witness_and_a_bound_meets_on_some_row() -> None:
    pairs, met = set(), set()
    for _, witness in can.registry.items():
        for _, bound in cannot.registry.items():
            if witness.task != bound.task or not witness.serves(bound.arch):
                continue
            pairs.add((witness.name, bound.name))
            for task in (task_of(row) for row in TASKS if task_of(row).name == witness.task):
                for n in SIZES:
                    try:
                        witness.size(task, n)
                        if bound.vacuous(task, n) is None:
                            met.add((witness.name, bound.name))
                    except InputError:
                        continue
    assert pairs - met == APART


def test_storing_everything_meets_the_bound_exactly() -> None:
    """N log2 |Sigma| bits are needed, and are enough; one bit less is ruled out."""
    task, witness = make_task("index-lookup", {"symbols": 64}), can.registry.get("index-lookup-store")
    for n in (1, 8, 17, 64, 1024):
        needed = max(b.bits(task, n) for _, b in cannot.registry.items() if (b.task, b.arch) == (task.name, "rnn"))
        size = witness.size(task, n)
        assert size.bits("state") == needed == 6 * n
        limit = Precision(1, "stored")
        assert size.fits(Size(state_numbers=6 * n, precision=limit))
        assert not size.fits(Size(state_numbers=6 * n - 1, precision=limit))


def test_size_formulas_equal_the_built_models() -> None:
    checked = 0
    for _, witness in can.registry.items():
        task = make_task(witness.task)
        for n in (8, 16, 40):
            try:
                size = witness.size(task, n)
            except InputError:
                continue
            model = witness.build(task, n)
            assert model.size(task.domain(n).positions, size.precision) == size, (witness.name, n)
            checked += 1
    assert checked >= 5
