"""Contracts enclose: every stream of every input lies in its box, every margin above its bound, for random models."""

from __future__ import annotations

import numpy as np
import pytest

from kernel.contract_cases import (
    STEPS,
    Before,
    LastZero,
    in_cell,
    inputs_of,
    random_chain,
    random_model,
    streams,
    whole,
)
from separatrix.core.errors import RejectedError, UnknownError
from separatrix.kernel import contract
from separatrix.kernel.balls import Ball
from separatrix.kernel.contracts.feed import Feed
from separatrix.kernel.contracts.layers import Weights, blocks_of
from separatrix.kernel.contracts.rows import rows_of
from separatrix.kernel.contracts.stream import compress
from separatrix.models.evaluate import evaluate


@pytest.mark.parametrize("kind", STEPS)
@pytest.mark.parametrize("n", [1, 2, 3, 4])
def test_cells_of_the_steps_cover_and_carry_the_answer(kind: type, n: int) -> None:
    task = kind(3, 3, 5)
    words, seen = inputs_of(task, n), np.zeros((3**n, n), dtype=bool)
    answers = task.answer(words)
    for query in range(n):
        for group in task.cells(n, query):
            for cell in range(len(group)):
                inside = words[:, query] == group.token
                for j, s in zip(group.positions[cell], group.symbols[cell], strict=True):
                    inside &= words[:, j] == s
                for j in range(query if task.causal else n):
                    if group.background is not None and j != query and j not in group.positions[cell]:
                        inside &= np.isin(words[:, j], group.background[j])
                inside &= group.constraint.holds(words).astype(bool)
                seen[inside, query] = True
                assert (answers[inside, query] == group.labels[cell]).all()
    assert seen.all()


@pytest.mark.parametrize("seed", range(6))
def test_random_models_stay_in_their_boxes_and_above_their_bounds(seed: int) -> None:
    """The boxes are also no larger than ten times the spread of what they hold, most of the time."""
    rng = np.random.default_rng(seed)
    checked = margins = 0
    for _ in range(40):
        mask = str(rng.choice(["none", "causal"]))
        chain, n = random_chain(rng, int(rng.integers(1, 4)), mask == "causal"), int(rng.integers(1, 5))
        model = random_model(rng, chain, n, mask)
        words = inputs_of(chain[0], n)
        weights = Weights(
            model.arch, model.tensors, float(rng.choice([0.0, 2.0**-20, 0.5])), int(rng.choice([0, 2**20]))
        )
        first, blocks = blocks_of(model.arch)
        stream = contract._tokens(chain[0], n, weights, first)
        actual, labels = streams(model, words), words
        with np.errstate(all="ignore"):
            for step, block in zip(chain[:-1], blocks[:-1], strict=True):
                rows = rows_of(step, n, stream, range(n), model.arch.blank)
                stream, labels = contract._next(rows, stream, block, weights, step), step.answer(labels)
                depth = block.layer + 1 + len(block.feeds)
                alive = weights.alive(depth)
                for j in range(n + model.arch.blank):
                    symbol = labels[:, j] if j < n else np.zeros(len(words), dtype=np.int64)
                    number = stream.number[j, symbol]
                    assert (number >= 0).all()
                    box, inside = stream.box[number], actual[depth][:, j]
                    off = np.abs(inside - box.mid) - box.rad
                    assert (off[:, alive] <= 1e-9 * (1 + np.abs(inside[:, alive]))).all()
                    checked += off[:, alive].size
            last, block = chain[-1], blocks[-1]
            logits = evaluate(model, words, queries=list(range(n)))
            answers = last.answer(labels)
            for rows in rows_of(last, n, stream, range(n), False):
                for label in np.unique(rows.label):
                    part = rows.take(np.flatnonzero(rows.label == label))
                    low = block.margins(weights, stream, part, int(label))
                    for row in range(len(part)):
                        query = int(stream.place[part.own[row]])
                        inside = in_cell(part, row, stream, last.causal, labels, answers)
                        there = logits[inside, query]
                        gap = there[:, [label]] - np.delete(there, label, axis=1)
                        assert (gap >= low[row] - 1e-9 * (1 + np.abs(there).max(initial=0.0))).all()
                        margins += gap.size
    assert checked > 200 and margins > 1000


@pytest.mark.parametrize("seed", range(4))
def test_no_wrong_random_model_is_accepted(seed: int) -> None:
    """The read-out is pulled towards the right answers, so that some models are right; truth by enumeration."""
    rng, right, accepted, wrong = np.random.default_rng(100 + seed), 0, 0, 0
    for _ in range(150):
        chain, n = random_chain(rng, int(rng.integers(1, 3)), True), int(rng.integers(1, 4))
        model = random_model(rng, chain, n, "causal")
        task, words = whole(chain), inputs_of(chain[0], n)
        x = streams(model, words)[-1][:, :n].reshape(-1, model.arch.width)
        target = np.eye(task.labels)[task.answer(words).reshape(-1)]
        fit = np.linalg.lstsq(np.c_[x, np.ones(len(x))], target, rcond=None)[0]
        model.tensors["readout.weight"][:], model.tensors["readout.bias"][:] = fit[:-1], fit[-1]  # pyright: ignore
        logits = evaluate(model, words).reshape(-1, task.labels)[: len(x)] if not model.arch.blank else None
        logits = evaluate(model, words, queries=list(range(n))).reshape(-1, task.labels) if logits is None else logits
        label = task.answer(words).reshape(-1)
        gap = logits[np.arange(len(label)), label][:, None] - logits
        gap[np.arange(len(label)), label] = np.inf
        truth = gap.min()
        try:
            contract.check(task, chain, n, Weights(model.arch, model.tensors, 2.0**-20, 2**20))
            ok = True
        except (RejectedError, UnknownError):
            ok = False
        assert not (ok and truth <= 0), f"accepted with margin {truth}"
        right, wrong, accepted = right + (truth > 1e-9), wrong + (truth <= 0), accepted + ok
    assert wrong >= 30 and accepted >= 3, (right, wrong, accepted)


def test_causal_cells_need_a_causal_mask() -> None:
    rng = np.random.default_rng(0)
    chain = (LastZero(2, 2, 1), Before(2, 2, 2))
    model = random_model(rng, chain, 3, "none")
    with pytest.raises(UnknownError, match="behind its own"):
        contract.check(whole(chain), chain, 3, Weights(model.arch, model.tensors, 0.0, 2**20))


@pytest.mark.parametrize(
    ("column", "rad"), [((1.0, 1e-13), (1.0, 1e15)), ((1e200, 1e-200), (1e-201, 1e202)), ((1.0, 5e-324), (0.0, 1e308))]
)
def test_what_a_unit_reads_beside_one_coordinate_is_never_lost(
    column: tuple[float, float], rad: tuple[float, float]
) -> None:
    """The second unit reads all but a multiple of what the first one reads, and another coordinate of wide range."""
    inner = np.array([[column[0], column[0]], [0.0, column[1]]])
    for order in ([0, 1], [1, 0]):
        out = np.array([[0.0], [1.0]])[order]
        layer = Feed(*map(Ball.exact, (inner[:, order], np.zeros(2), out, np.zeros(1))))
        found = layer.ranges(Ball(np.zeros((1, 2)), np.array([rad])), 0.0)
        most = column[0] * rad[0] + column[1] * rad[1]
        assert found.low[0, 0] <= 0 and found.high[0, 0] >= most * (1 - 1e-9)


def test_rows_of_many_large_columns_stay_apart() -> None:
    """The product of the sizes of the columns is far beyond 64 bits, by powers of two and otherwise."""
    rng = np.random.default_rng(0)
    for _ in range(300):
        rows = int(rng.integers(1, 7))
        size = 2 ** rng.integers(1, 42, 6) - rng.integers(0, 2, 6)
        columns = rng.integers(0, 3, (6, rows)) * ((size - 1) // 2)[:, None]
        found = compress(*columns)
        assert (found == np.unique(columns, axis=1, return_inverse=True)[1].reshape(-1)).all()


def test_integers_that_are_no_floats_are_not_taken_for_exact() -> None:
    model = random_model(np.random.default_rng(3), (Before(2, 2, 1),), 3, "causal")
    tensors = {name: np.ones_like(tensor) for name, tensor in model.tensors.items()}
    tensors["embed.token"] = np.full(tensors["embed.token"].shape, 2**53 + 1)
    if "embed.position" in tensors:
        tensors["embed.position"][:] = 0.0
    weights, first = Weights(model.arch, tensors, 0.0, 2**20), np.zeros(1, dtype=np.int64)
    assert weights.alive(0).all() and not np.isfinite(weights.embedded(first, first).rad).any()
