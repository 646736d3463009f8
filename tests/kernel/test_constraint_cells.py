"""Cells of tasks that tie positions together: malformed ones, equal ones, and what their constraints decide."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import pytest

from core.reference import accepts, arb_right, head
from separatrix.core.domain import CellGroup, Constraint
from separatrix.core.errors import RejectedError
from separatrix.core.semantics import REAL
from separatrix.kernel.separable import check
from separatrix.models.model import Model
from separatrix.tasks.associative_recall import AssociativeRecall
from separatrix.tasks.majority import Majority
from tasks.tied import majority


@dataclasses.dataclass(frozen=True)
class Fake(Majority):
    """Majority of three bits with other cells."""

    groups: tuple[CellGroup, ...] = ()

    def cells(self, n: int, query: int):
        return iter(self.groups)


def three(**changes: Any) -> CellGroup:
    """The cell with two ones, changed."""
    group = list(Majority().cells(3, 3))[2]
    return dataclasses.replace(group, **changes)


def tie(**changes: Any) -> Constraint:
    return dataclasses.replace(three().constraint, **changes)


def right() -> Model:
    return majority(np.random.default_rng(3), 0.0, 1.0).model


@pytest.mark.parametrize("group", [
    three(constraint=tie(count=4)), three(constraint=tie(count=-1)), three(constraint=tie(positions=(0, 7))),
    three(constraint=tie(symbol=5)), three(constraint=tie(symbol=0, count=2), background=(np.array([1]),) * 4),
    three(positions=np.array([[0, 0]]), symbols=np.array([[1, 1]])),
    three(positions=np.array([[4]]), symbols=np.array([[1]])),
    three(positions=np.array([[-1]]), symbols=np.array([[1]])),
    three(constraint=Constraint("distinct", positions=(0, 1, 2))),
    three(constraint=Constraint("distinct", positions=(0, 1), classes=(0,))),
    three(constraint=Constraint("distinct", positions=(0, 1), classes=(5, 5))),
    three(constraint=Constraint("regular", transitions=((0,),), accepting=(0,), positions=(0, 1))),
    three(constraint=Constraint("regular", transitions=((0, 0),), accepting=(0,))),
    three(constraint=Constraint("regular", transitions=((0, 0),), accepting=(), positions=(0, 1))),
    three(constraint=Constraint("regular", transitions=((1, 0), (1, 0)), accepting=(0,), positions=(0,)),
          positions=np.array([[0]]), symbols=np.array([[0]])),
])  # fmt: skip
def test_malformed_and_empty_cells_are_refused(group: CellGroup) -> None:
    made = majority_of(3)
    assert check(Fake((three(),)), 3, made.arch, made.tensors, REAL) == 1
    with pytest.raises(RejectedError):
        check(Fake((group,)), 3, made.arch, made.tensors, REAL)


def majority_of(n: int) -> Model:
    """An exact majority head."""
    arch = head(3, n + 1, 2, 1, key=1, value=1)
    tensors = {
        "embed.token": np.array([[-1.0], [1.0], [0.0]]),
        "embed.position": np.zeros((n + 1, 1)),
        "layers.0.query": np.zeros((1, 1, 1)),
        "layers.0.key": np.zeros((1, 1, 1)),
        "layers.0.value": np.ones((1, 1, 1)),
        "layers.0.output": np.ones((1, 1, 1)),
        "readout.weight": np.array([[-1.0, 1.0]]),
        "readout.bias": np.zeros(2),
    }
    return Model(arch, tensors)


def test_majority_is_proved_exactly_up_to_the_last_vote() -> None:
    """A bias below one vote of N + 1 changes nothing; at one vote there is a tie, beyond it an error."""
    for n in (1, 3, 9, 31, 101):
        model = majority_of(n)
        assert accepts(model, Majority(), n)
        for vote, fine in ((0.99, True), (1.0, False), (1.01, False)):
            shift = vote / (n + 1)
            for sign in (-1, 1):
                bias = np.array([shift, -shift]) * sign
                assert accepts(Model(model.arch, dict(model.tensors) | {"readout.bias": bias}), Majority(), n) == fine


def test_equal_groups_of_different_constraints_are_not_merged() -> None:
    """Without positions equal cells share a check: not those that differ in their constraint, or are tied at all."""
    model = majority_of(3)
    arch = head(3, 0, 2, 1, key=1, value=1, table=False)
    free = Model(arch, {k: v for k, v in model.tensors.items() if k != "embed.position"})
    assert accepts(free, Majority(), 3)
    wrong = three(constraint=tie(count=1))
    for groups in ((three(), wrong), (three(), three(constraint=Constraint())), (wrong, three())):
        with pytest.raises(RejectedError):
            check(Fake(groups), 3, free.arch, free.tensors, REAL)
    forced = three(positions=np.array([[0], [1]]), symbols=np.array([[1], [1]]), labels=np.array([1, 1]))
    inside = dataclasses.replace(forced, constraint=tie(positions=(0, 2), count=1))  # only one ties position 1's bit
    assert not accepts_group(inside, free) and accepts_group(forced, free)


def accepts_group(group: CellGroup, model: Model) -> bool:
    return accepts(model, Fake((group,)), 3)


def test_the_tightened_cells_decide_where_products_do_not() -> None:
    """A key that is a little near to all others: many of it would drown the right label, one does not."""
    keys, labels, n, width = 6, 2, 5, 8
    task = AssociativeRecall(keys, labels, joined=True)
    token = np.zeros((keys * (labels + 1), width))
    pair = np.arange(keys * labels)
    near = np.eye(keys)
    near[0, 1:] = 0.7
    token[pair, :keys], token[pair, keys + pair % labels] = near[pair // labels], 1.0
    token[keys * labels :, :keys] = np.eye(keys)
    eye = np.eye(width)
    arch = head(len(token), 0, labels, width, key=keys, value=labels, table=False)
    tensors = {
        "embed.token": token, "layers.0.query": 4.0 * eye[None, :, :keys], "layers.0.key": eye[None, :, :keys],
        "layers.0.value": eye[None, :, keys:], "layers.0.output": eye[None, keys:], "readout.weight": eye[:, keys:],
        "readout.bias": np.zeros(labels),
    }  # fmt: skip
    model = Model(arch, tensors)
    from separatrix.verify.provers import certify

    outcome = certify(model, task, n, method="separable")
    assert outcome.verdict == "proved" and outcome.certificate is not None and outcome.certificate.arrays
    assert not accepts(model, task, n)  # prices 0: any number of positions may hold the near key

    class Relaxed(AssociativeRecall):
        """The same cells, the other keys anything but the one that asks."""

        def cells(self, n: int, query: int):
            every = np.arange(self.keys * self.labels)
            for k, group in enumerate(super().cells(n, query)):
                rest = every[every // self.labels != k]
                yield dataclasses.replace(group, constraint=Constraint(), background=(rest,) * (n + 1))

    relaxed = Relaxed(keys, labels, True)
    assert not accepts(model, relaxed, n)
    from separatrix.verify.provers.sweep import sweep

    value, tokens, _ = sweep(model, relaxed, n).candidates[0]
    assert value < 0 and not task.domain(n).contains(tokens)  # the spurious input repeats a key
    assert arb_right(model, task, n, np.array([*range(0, 2 * n, 2), keys * labels]), n)
