"""False claims about positional transformers that rest on a float64 rounding inside the check; none may pass."""

from __future__ import annotations

from fractions import Fraction

import numpy as np

from separatrix.core.certificate import Certificate, Claim
from separatrix.core.guarantee import PROVED
from separatrix.core.positional import Positional, PositionalLayer
from separatrix.core.task import Task
from separatrix.kernel import judge
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


def verdict(model: Model, task: Task):
    claim = Claim(task.name, task.parameters(), 1, "correct", "real")
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
