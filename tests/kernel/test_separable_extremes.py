"""The separable check with weights at the edges of float64, and beyond them."""

from __future__ import annotations

import numpy as np
import pytest

from core.reference import Mixed, accepts, all_inputs, arb_right, head, random_tensors, worst
from kernel.test_separable import good
from separatrix.core.certificate import Certificate, Claim
from separatrix.core.errors import RejectedError, UnknownError
from separatrix.core.guarantee import PROVED
from separatrix.core.semantics import Semantics
from separatrix.kernel import judge
from separatrix.kernel.layer import Layer
from separatrix.kernel.separable import check
from separatrix.models.model import Model
from separatrix.tasks.index_lookup import IndexLookup


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("size", [1e300, 1e200, 1e-310, 5e-324, 1e155])
@pytest.mark.parametrize("semantics", ["real", "fp32", "fp16", "float:20", "fp64"])
def test_huge_and_subnormal_weights_prove_nothing_wrong(size: float, semantics: str) -> None:
    """Each tensor in turn is scaled to the edge of float64: no warning, no traceback, no false acceptance."""
    base = good()
    for name, tensor in base.tensors.items():
        if not tensor.any():
            continue
        with np.errstate(over="ignore"):
            scaled = tensor * size
        if not np.isfinite(scaled).all():
            continue
        model = Model(base.arch, dict(base.tensors) | {name: scaled})
        if accepts(model, IndexLookup(2), 2, Semantics.parse(semantics)):
            for row in all_inputs(IndexLookup(2), 2):
                assert arb_right(model, IndexLookup(2), 2, row, 2), (name, size)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("semantics", ["real", "float:24"])
def test_nan_and_infinity_are_never_accepted(value: float, semantics: str) -> None:
    """By the judge; and by the check itself wherever the number is read: NaN passes a careless minimum."""
    base, task = good(), IndexLookup(2)
    claim = Claim(task.name, task.parameters(), 2, "correct", semantics)
    certificate = Certificate("separable", claim, PROVED, task.source_sha256(), model=base.reference())
    assert judge(certificate, base.arch, base.tensors).accepted
    for name, tensor in base.tensors.items():
        for at in range(tensor.size):
            poisoned = tensor.astype(np.float64).copy()
            poisoned.reshape(-1)[at] = value
            tensors = dict(base.tensors) | {name: poisoned}
            assert judge(certificate, base.arch, tensors).exit_code == 2
            if tensor.reshape(-1)[at] != 0:
                with pytest.raises((RejectedError, UnknownError)):
                    check(task, 2, base.arch, tensors, Semantics.parse(semantics))


def test_integer_and_single_precision_weights() -> None:
    base = good()
    for dtype in (np.float32, np.int64):
        tensors = {name: tensor.astype(dtype) for name, tensor in base.tensors.items()}
        model = Model(base.arch, tensors)
        assert accepts(model, IndexLookup(2), 2) and worst(model, IndexLookup(2), 2)[0] > 0


def test_integers_beyond_floats_are_not_taken_for_their_neighbours() -> None:
    """2^53 + 1 and -2^53 differ from a tie by 1 that float64 cannot see."""
    base = good()
    weight, bias = base.tensors["readout.weight"].astype(np.int64), np.array([2**53 + 1, 2**53])
    model = Model(base.arch, dict(base.tensors) | {"readout.weight": weight, "readout.bias": bias})
    right = [arb_right(model, IndexLookup(2), 2, row, 2) for row in all_inputs(IndexLookup(2), 2)]
    assert not accepts(model, IndexLookup(2), 2) or all(right)


def test_integers_beyond_floats_are_no_exact_queries() -> None:
    base = good()
    token = base.tensors["embed.token"].astype(np.int64)
    token[0, 0] = 2**53 + 1
    tensors = dict(base.tensors) | {"embed.token": token}
    layer = Layer.of(base.arch, tensors, 3)
    with np.errstate(all="ignore"):
        assert not np.isfinite(layer.queries([0], 2)[0].rad).any()


def test_an_enormous_temperature_is_still_right() -> None:
    """eta = 2000: a plain exp overflows, and `not negative` logic would accept by luck."""
    base = good()
    token = base.tensors["embed.token"].copy()
    token[2:] *= 1000.0
    model = Model(base.arch, dict(base.tensors) | {"embed.token": token})
    assert accepts(model, IndexLookup(2), 2)
    assert all(arb_right(model, IndexLookup(2), 2, row, 2) for row in all_inputs(IndexLookup(2), 2))


def test_huge_by_subnormal_weights_do_not_hide_their_rounding() -> None:
    """Products of 2^1000 and 2^-1040 in the read-out: the radius must not underflow before it is magnified."""
    rng, task = np.random.default_rng(9), Mixed(2, 1)
    for _ in range(40):
        arch = head(2, 0, 2, 40, key=1, value=40, table=False)
        t = random_tensors(arch, rng)
        t["layers.0.query"][:] = 0.0
        t["embed.token"] = np.ldexp(rng.random((2, 40)) + 0.5, 500)
        t["layers.0.value"] = np.ldexp(np.eye(40), 499)[None]
        t["layers.0.output"] = np.eye(40)[None]
        t["readout.weight"] = np.ldexp(rng.normal(size=(40, 2)), -1040)
        t["readout.bias"][:] = 0.0
        model = Model(arch, t)
        with np.errstate(all="ignore"):
            accepted = accepts(model, task, 2)
        if accepted:
            assert all(arb_right(model, task, 2, row, q) for row in all_inputs(task, 2) for q in task.queries(2))
