"""False claims about positional transformers that rest on a float64 rounding inside the check, and files too costly."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest

from separatrix.can.programs import library
from separatrix.can.programs.direct import compile_direct
from separatrix.core.certificate import Certificate, Claim
from separatrix.core.errors import UnknownError
from separatrix.core.guarantee import PROVED
from separatrix.core.positional import Positional, PositionalLayer
from separatrix.core.shapes import tensor_shapes
from separatrix.core.task import Task
from separatrix.kernel import comparators, extremes, judge
from separatrix.kernel.positional import Step
from separatrix.kernel.relu_form import ReluForm
from separatrix.models.model import Model
from separatrix.tasks import make_task


def linear(maps: list[np.ndarray], sinks: int, received: float, gap: float) -> Model:
    """One real word a node, two words of stream (x, 0); layer i maps [received, own] by maps[i] (4, 2), exactly.

    The first layer's value map is `received` times itself; every node scores itself `gap` above the others.
    """
    nodes, d = 1 + sinks, 2
    layer = PositionalLayer(heads=1, key_width=nodes, value_width=d, hidden=(2 * d,))
    arch = Positional(nodes, sinks, 1, d, nodes, (layer,) * len(maps), 1)
    tensors = {
        "positions": np.eye(nodes),
        "embed.linear": np.array([[1.0, 0.0]]),
        "embed.bias": np.zeros(d),
        "readout.weight": np.array([[1.0], [0.0]]),
        "readout.bias": np.zeros(1),
    }
    for i, net in enumerate(maps):
        value = received if i == 0 else 0.0
        tensors |= {
            f"layers.{i}.query": gap * np.eye(nodes)[None],
            f"layers.{i}.key": np.eye(nodes)[None],
            f"layers.{i}.value": value * np.eye(d)[None],
            f"layers.{i}.output": value * np.eye(d)[None],
            f"layers.{i}.mlp.0.weight": np.concatenate([net, -net], axis=1),
            f"layers.{i}.mlp.0.bias": np.zeros(2 * d),
            f"layers.{i}.mlp.1.weight": np.concatenate([np.eye(d), -np.eye(d)]),
            f"layers.{i}.mlp.1.bias": np.zeros(d),
        }
    return Model(arch, tensors)


def verdict(model: Model, task: Task, n: int = 1):
    claim = Claim(task.name, task.parameters(), n, "correct", "real")
    given = Certificate("positional", claim, PROVED, task.source_sha256(), {}, {}, model.reference())
    return judge(given, model.arch, model.tensors)


def own(first: list[float], second: list[float]) -> np.ndarray:
    """(4, 2): the own words (x, y) become (first . (x, y), second . (x, y))."""
    return np.concatenate([np.zeros((2, 2)), np.array([first, second]).T])


def test_products_of_coefficients_are_not_rounded() -> None:
    """x + 2^58 ((2^15 + 2^-20)(2^14 + 2^-20) - 2^29 - 2^-5 - 2^-6) x is (1 + 2^18) x, and x in rounded products."""
    a, b, c = 2.0**14 + 2.0**-20, 2.0**15 + 2.0**-20, 2.0**29 + 2.0**-5 + 2.0**-6
    assert a * b == c and 1 + 2**58 * (Fraction(a) * Fraction(b) - Fraction(c)) == 1 + 2**18
    up = own([1.0, 0.0], [0.0, 2.0**29])
    maps = [own([1.0, 0.0], [a, 0.0]), own([1.0, 0.0], [0.0, b]), own([1.0, 0.0], [-c, 1.0]), up, up]
    task = make_task("prefix-sums", {})
    assert not verdict(linear([*maps, own([1.0, 1.0], [0.0, 0.0])], 0, 0.0, 0.0), task).accepted
    # the same net without the trap is proved
    maps[1] = own([1.0, 0.0], [0.0, 2.0**15])
    maps[2] = own([1.0, 0.0], [-(a * 2.0**15), 1.0])
    assert verdict(linear([*maps, own([1.0, 1.0], [0.0, 0.0])], 0, 0.0, 0.0), task).accepted


def test_an_error_that_underflows_is_not_lost() -> None:
    """Values shrink by 2^-998 and the net undoes it: the leak to the sink, about 1e-26, is all of the error."""
    net = np.concatenate([2.0**998 * np.array([[1.0, 0.0], [0.0, 0.0]]), np.zeros((2, 2))])
    model = linear([net], 1, 2.0**-499, 60.0)
    assert 2.0 * float(np.exp(-60.0)) > 1e-30
    assert not verdict(model, make_task("prefix-minima", {"eps": 1e-30})).accepted
    shrunk = linear([net * 2.0**-900], 1, 2.0**-49, 60.0)
    assert verdict(shrunk, make_task("prefix-minima", {"eps": 1e-20})).accepted


def silent(n: int) -> Model:
    """Answers 0 everywhere."""
    arch = Positional(n, 0, 1, 1, 1, (PositionalLayer(1, 1, 1, (1,)),), 1)
    return Model(arch, {name: np.zeros(shape) for name, shape in tensor_shapes(arch).items()})


def test_answers_with_too_many_forms_are_not_held(monkeypatch: pytest.MonkeyPatch) -> None:
    """A form for every run, at every position: 90 GB of them for 512 numbers."""
    monkeypatch.setattr(extremes, "MOST_ENTRIES", 2**18)
    found = verdict(silent(64), make_task("maximum-subarray"), 64)
    assert found.exit_code == 3 and "too many linear forms" in found.sentence


def test_words_with_too_many_forms_are_noticed_while_they_grow(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(extremes, "MOST_ENTRIES", 100)
    copy = Step((0,), (ReluForm((Fraction(0), Fraction(1)), ()),))
    taken = []

    def steps():
        for node in range(1000):
            taken.append(node)
            yield copy

    with pytest.raises(UnknownError, match="too many linear forms"):
        extremes.State([[np.arange(20.0).reshape(4, 5)]], 1).after(steps())  # type: ignore[arg-type]
    assert len(taken) == 6  # 20 entries each


def test_states_of_many_words_are_not_held(monkeypatch: pytest.MonkeyPatch) -> None:
    model, task = compile_direct(library.sort(8)), make_task("sorting")
    assert verdict(model, task, 8).accepted
    monkeypatch.setattr(comparators, "MOST_ENTRIES", 50)
    found = verdict(model, task, 8)
    assert found.exit_code == 3 and "0-1 states" in found.sentence


def test_a_refutation_in_arb_does_not_write_down_every_form(monkeypatch: pytest.MonkeyPatch) -> None:
    n, task = 150, make_task("maximum-subarray")
    monkeypatch.setattr(type(task), "closed_form", None)
    claim = Claim(task.name, task.parameters(), n, "incorrect", "real")
    evidence = {"reals": [(1.0).hex()] * n, "query": n - 1}
    made = Certificate("positional-counterexample", claim, PROVED, task.source_sha256(), evidence)
    model = silent(n)
    assert judge(made, model.arch, model.tensors, engine="arb").accepted
