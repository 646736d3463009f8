"""Attacks on claims about routing by packed words: proofs and refutations."""

from __future__ import annotations

import dataclasses
import itertools
from collections import Counter
from collections.abc import Iterator

import numpy as np
import pytest

from kernel.test_positional import certificate, changes
from kernel.test_positional_routing import SPAN, TASK, claimed, exchanges, inputs, packed, without, worst
from separatrix.can.programs.program import Lane, Round
from separatrix.can.programs.sortnet import packed_route
from separatrix.core.certificate import Certificate
from separatrix.core.closed_form import Delivered
from separatrix.core.guarantee import PROVED
from separatrix.kernel import judge
from separatrix.kernel.arb import Engine
from separatrix.models.evaluate import evaluate
from separatrix.models.model import Model
from separatrix.tasks.routing import Routing


def variants(n: int, rng: np.random.Generator) -> Iterator[tuple[str, Model, Routing]]:
    """Packings, networks and claims that are right (`same`), and ones that may not be (`other`)."""
    yield from ((origin, model, TASK) for origin, model in changes(packed(n), rng))
    for _ in range(12):
        b, c = float(rng.choice([-1, 1])) * 2.0 ** rng.integers(-3, 4), 2.0 ** rng.integers(-3, 4)
        yield "same", packed(n, SPAN * abs(b) * rng.uniform(1.0, 50.0), b, float(c)), TASK
        yield "other", packed(n, SPAN * abs(b) * rng.uniform(0.05, 0.99), b, float(c)), TASK
        yield "other", packed(n, 8.0, off=8.0 + float(rng.choice([-1, 1])) * 10.0 ** rng.uniform(-4, 1)), TASK
        yield "other", packed(n), Routing(scale=2.0 * rng.uniform(1.01, 3.0))
        yield "same", packed(n), Routing(scale=2.0 * rng.uniform(0.01, 1.0))
    program = packed_route(n, 2.0)[0]
    for number, pair in exchanges(program):
        for words in ((0, 1), (0,), (1,)):
            yield "other", packed(n, 8.0, program=without(program, number, pair, words)), TASK
    for number, step in enumerate(program.rounds):  # one node reads another source on one lane
        assert isinstance(step, Round)
        for h, lane in enumerate(step.lanes):
            sources = list(lane.sources)
            sources[int(rng.integers(n))] = int(rng.integers(n))
            lanes = (*step.lanes[:h], Lane(lane.word, tuple(sources)), *step.lanes[h + 1 :])
            rounds = (*program.rounds[:number], Round(lanes, step.update), *program.rounds[number + 1 :])
            yield "other", packed(n, 8.0, program=dataclasses.replace(program, rounds=rounds)), TASK


@pytest.mark.parametrize(("engine", "every"), [("fast", 1), ("arb", 2)])
def test_no_false_claim_is_accepted_and_true_ones_are(engine: Engine, every: int) -> None:
    seen: Counter[str] = Counter()
    for n in (2, 3, 4):
        rng = np.random.default_rng(n)
        for origin, model, task in itertools.islice(variants(n, rng), 0, None, every):
            accepted = judge(certificate(model, task, n), model.arch, model.tensors, engine=engine).accepted
            if worst(model, task, n, rng) > task.eps:
                assert origin == "other" and not accepted
                seen["false"] += 1
            elif origin == "same":
                seen["true"] += 1
                seen["accepted"] += accepted
    assert seen["false"] >= 200 // every and seen["true"] >= 100 // every and seen["false"] >= 100, seen
    assert seen["accepted"] >= 0.9 * seen["true"], seen


@pytest.mark.parametrize("engine", ["fast", "arb"])
def test_no_false_refutation_is_accepted_and_true_ones_are(engine: Engine) -> None:
    """Right and broken models at legal inputs; then the same claims at inputs that are none of the task's."""
    seen: Counter[str] = Counter()
    rng, n = np.random.default_rng(5), 3
    for _, model, _ in variants(n, rng):
        if any(tensor.size and np.abs(tensor).max() > 1e6 for tensor in model.tensors.values()):
            continue  # float64 is no witness of what cancels there
        x = rng.permutation(inputs(n, TASK.scale, rng))
        none = np.zeros(x.shape[:2], dtype=np.int64)
        apart = np.abs(evaluate(model, none, x) - TASK.answer(none, x))[:, :, 0]
        some = [*range(3), int(apart.max(axis=1).argmax())]
        for words, row in zip(x[some], apart[some], strict=True):
            query = int(rng.choice([np.argmax(row), rng.integers(n)]))
            took = refuted(model, words.ravel(), query, engine)
            if row[query] < TASK.eps * (1 - 1e-6):
                assert not took
                seen["false"] += 1
            elif row[query] > TASK.eps * (1 + 1e-3):
                seen["true"] += 1
                seen["accepted"] += took
                seen["illegal"] += 1
                assert not refuted(model, illegal(words, rng).ravel(), query, engine)
    assert seen["false"] >= 100 and seen["true"] >= 100 and seen["accepted"] >= 0.9 * seen["true"], seen
    assert seen["illegal"] >= 100


def illegal(words: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """The same input with a destination that is taken, no node or no whole number, or a payload out of range."""
    out, i = words.copy(), int(rng.integers(len(words)))
    match int(rng.integers(5)):
        case 0:
            out[i, 0] = out[i - 1, 0]
        case 1:
            out[i, 0] = len(words)
        case 2:
            out[i, 0] = -1.0
        case 3:
            out[i, 0] += 1e-9
        case _:
            out[i, 1] = float(np.nextafter(TASK.scale, 3.0)) * float(rng.choice([-1, 1]))
    return out


def refuted(model: Model, words: np.ndarray, query: int, engine: Engine = "fast") -> bool:
    """The kernel's word on a refutation."""
    evidence, kind = {"reals": [float(w).hex() for w in words], "query": query}, "positional-counterexample"
    mine = Certificate(kind, claimed("incorrect", 3), PROVED, TASK.source_sha256(), evidence, {}, model.reference())
    return judge(mine, model.arch, model.tensors, engine=engine).accepted


def test_refutations_list_two_words_a_node() -> None:
    model = packed(3, off=5.0)
    right = np.array([0.0, 1.0, 1.0, -1.0, 2.0, 0.5])
    assert refuted(model, right, 2) and not refuted(packed(3), right, 2)
    for words in (right[:3], right[:5], np.r_[right, right[:2]], right[1::2], right.reshape(3, 2).T.ravel()):
        assert not refuted(model, words, 2)
    assert not refuted(model, right, 3) and not refuted(model, right, 0)  # i = 0: nothing to take off
    assert Delivered(0) == TASK.closed_form(3, 0)
