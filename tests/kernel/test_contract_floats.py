"""Contracts in float formats: no simulated evaluation leaves the kernel's boxes, or errs where a claim is accepted."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

import numpy as np
import pytest

from core.deep_floats import Calls, simulate_deep
from core.floats import ORDERS, TREES, Machine
from kernel.contract_cases import Step, in_cell, inputs_of, random_chain, random_model
from separatrix.core.errors import SeparatrixError
from separatrix.core.semantics import Semantics
from separatrix.kernel import contract
from separatrix.kernel.contracts.layers import Weights, blocks_of
from separatrix.kernel.contracts.rounded import Floats
from separatrix.kernel.contracts.rows import rows_of
from separatrix.models.model import Model

SPECS = ["float:4", "float:6", "float:11", "fp16", "fp32", "bf16", "float:5,tree", "fp16,tree"]
TOLERANCE = 1e-12  # the simulation is in float64


def machines(text: str, rng: np.random.Generator, count: int) -> Iterator[tuple[Machine, str]]:
    """Some orders of summation and kinds of rounding, with a way of joining sums."""
    spec = Semantics.parse(text).spec
    assert spec is not None
    for _ in range(count):
        order = (TREES if spec.tree else ORDERS)[rng.integers(len(TREES if spec.tree else ORDERS))]
        kind = rng.integers(5)
        join = ("stacked", "heads")[rng.integers(2)]
        if kind < 2:
            yield Calls(spec, order, rng, "random", columns=bool(kind)), join
        else:
            yield Machine(spec, order, rng, ("nearest", "random", "up")[kind - 2]), join


def escapes(
    model: Model,
    chain: tuple[Step, ...],
    n: int,
    text: str,
    rng: np.random.Generator,
    seen: Counter[str],
    count: int = 3,
) -> int:
    """How many coordinates of streams, and margins, as computed, lie outside of what the kernel derives."""
    words, floats = inputs_of(chain[0], n), Floats.of(Semantics.parse(text).spec)
    words = words[rng.permutation(len(words))[:48]]
    noise, terms = float(rng.choice([0.0, 2.0**-20, 0.5])), int(rng.choice([0, 2**20]))
    weights = Weights(model.arch, model.tensors, noise, terms, bool(rng.integers(2)), floats)
    found = [(simulate_deep(model, words, *given), given) for given in machines(text, rng, count)]
    first, blocks = blocks_of(model.arch)
    wrong = 0
    with np.errstate(all="ignore"):
        stream, labels = contract._tokens(chain[0], n, weights, first), words
        for step, block in zip(chain, blocks, strict=True):
            at = block.layer
            for (streams, _), _ in found:  # what the layer reads
                for j in range(n + model.arch.blank):
                    number = stream.number[j, labels[:, j] if j < n else np.zeros(len(words), dtype=np.int64)]
                    box, there = stream.box[number], streams[at][:, j]
                    off = np.abs(there - box.mid) - box.rad
                    wrong += int((~(off <= TOLERANCE * (1 + np.abs(there)))).sum())
                    seen["boxes"] += off.size
            last = step is chain[-1]
            rows = rows_of(step, n, stream, range(n), model.arch.blank and not last)
            answers = step.answer(labels)
            if last:
                for part in rows:
                    for label in np.unique(part.label):
                        cells = part.take(np.flatnonzero(part.label == label))
                        low = block.margins(weights, stream, cells, int(label))
                        for row in range(len(cells)):
                            inside = in_cell(cells, row, stream, step.causal, labels, answers)
                            query = int(stream.place[cells.own[row]])
                            for (_, logits), _ in found:
                                own = logits[inside, query]
                                gap = own[:, [label]] - np.delete(own, label, axis=1)
                                size = 1 + np.abs(own).max(initial=0.0)
                                wrong += int((~(gap >= low[row] - TOLERANCE * size)).sum())
                                seen["margins"] += gap.size
                                seen["positive"] += int((low[row] > 0).sum()) * len(gap)
            else:
                stream, labels = contract._next(rows, stream, block, weights, step), answers
    return wrong


@pytest.mark.parametrize("text", SPECS)
def test_no_simulated_evaluation_leaves_the_boxes(text: str) -> None:
    rng, seen = np.random.default_rng(SPECS.index(text)), Counter[str]()
    for trial in range(60):
        mask = str(rng.choice(["none", "causal"]))
        chain, n = random_chain(rng, int(rng.integers(1, 4)), mask == "causal"), int(rng.integers(1, 5))
        model = random_model(rng, chain, n, mask)
        if trial % 3 == 0:  # small whole numbers, where much is exact
            rounded = {name: np.rint(2 * tensor) / 2 for name, tensor in model.tensors.items()}
            model = Model(model.arch, rounded)
        try:
            assert not escapes(model, chain, n, text, rng, seen), trial
        except SeparatrixError:
            seen["refused"] += 1
    print(text, seen)
    assert seen["boxes"] >= 2000 and seen["margins"] >= 500 and seen["refused"] <= 30, seen
