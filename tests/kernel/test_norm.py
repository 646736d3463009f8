"""Layer norm: the ball and arb evaluations agree with torch.nn.LayerNorm, and kinds that do not know it refuse it."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch

from separatrix.core.arch import Arch, Attention, FeedForward, LayerNorm, Readout, Table
from separatrix.core.certificate import Certificate, Claim
from separatrix.core.errors import InputError
from separatrix.core.guarantee import PROVED
from separatrix.core.shapes import check_tensors, tensor_shapes
from separatrix.kernel import judge
from separatrix.kernel.arb_nets import Net, precision
from separatrix.kernel.balls import Ball
from separatrix.kernel.forward import forward
from separatrix.kernel.judge import KINDS
from separatrix.kernel.norm import normalised
from separatrix.models.evaluate import evaluate
from separatrix.models.model import Model
from separatrix.tasks import make_task

LAYERS = (
    Attention(2, 3, 2, norm="pre", residual=True),
    FeedForward(7, norm="pre", residual=True),
    LayerNorm(1e-3),
)


def model(layers: tuple = LAYERS, seed: int = 0, size: float = 1.0) -> Model:
    rng = np.random.default_rng(seed)
    arch = Arch(5, Table(6, 3), layers, Readout(4))
    tensors = {name: rng.standard_normal(shape) * size for name, shape in tensor_shapes(arch).items()}
    return Model(arch, {name: np.abs(t) + 1e-6 if name.endswith("eps") else t for name, t in tensors.items()})


def test_balls_of_a_layer_norm_hold_torchs() -> None:
    rng = np.random.default_rng(0)
    for _ in range(200):
        d, size, eps = int(rng.integers(1, 12)), 10.0 ** rng.uniform(-8, 8), 10.0 ** rng.uniform(-12, 0)
        x, scale, bias = rng.normal(size=(3, d)) * size, rng.normal(size=d), rng.normal(size=d)
        norm = torch.nn.LayerNorm(d, eps=eps, dtype=torch.float64)
        with torch.no_grad():
            norm.weight.copy_(torch.tensor(scale))
            norm.bias.copy_(torch.tensor(bias))
            wanted = norm(torch.tensor(x)).numpy()
        ball = normalised(Ball.exact(x), Ball.exact(scale), Ball.exact(bias), Ball.exact(np.float64(eps)))
        assert np.isfinite(ball.rad).all() and (ball.rad <= 1e-9 * (1 + np.abs(wanted))).all()
        assert (np.abs(ball.mid - wanted) <= ball.rad + 1e-9 * (1 + np.abs(wanted))).all()


def test_balls_and_arb_agree_with_the_evaluation() -> None:
    for seed in range(20):
        made = model(seed=seed)
        tokens = np.random.default_rng(seed).integers(0, 6, 3)
        wanted = evaluate(made, tokens[None], queries=[1])[0, 0]
        ball = forward(made.arch, made.tensors, tokens, 1)
        assert (ball.rad < 1e-8).all() and np.abs(ball.mid - wanted).max() < 1e-8
        with precision(128):
            fine = np.array([float(v.mid()) for v in Net(made.arch, made.tensors).logits(tokens, 1)])
        assert (np.abs(ball.mid - fine) <= ball.rad).all() and np.abs(fine - wanted).max() < 1e-9


def test_the_eps_of_a_norm_must_be_positive() -> None:
    made = model()
    for eps in (0.0, -1.0):
        with pytest.raises(InputError, match="eps"):
            check_tensors(made.arch, dict(made.tensors) | {"layers.0.norm_eps": np.array(eps)})
    with pytest.raises(InputError, match="eps"):
        Arch(5, Table(6, 3), (*LAYERS[:2], LayerNorm(0.0)), Readout(4)).check()
    assert Arch.from_config(made.arch.to_config()) == made.arch


ONE = Attention(1, 3, 3)
SHAPES = {
    "pre-norm attention": (dataclasses.replace(ONE, norm="pre"),),
    "two heads, pre-norm": (Attention(2, 3, 3, norm="pre"),),
    "final norm": (ONE, LayerNorm()),
    "norm first": (LayerNorm(), ONE),
    "contract's layers": (
        dataclasses.replace(ONE, residual=True),
        FeedForward(3, norm="pre", residual=True),
        ONE,
    ),
}


@pytest.mark.parametrize("name", SHAPES)
@pytest.mark.parametrize("kind", [k for k, v in KINDS.items() if v.statement == "correct"])
def test_kinds_that_do_not_know_layer_norm_refuse_it(name: str, kind: str) -> None:
    """Each of them is given a model with a norm that makes it wrong, and evidence of the emptiest form."""
    task = make_task("index-lookup", {"symbols": 4})
    made = model(SHAPES[name])
    claim = Claim(task.name, task.parameters(), 2, "correct", "real")
    certificate = Certificate(kind, claim, PROVED, task.source_sha256(), {}, {}, made.reference())
    for engine in ("fast", "arb"):
        verdict = judge(certificate, made.arch, made.tensors, engine=engine)
        assert not verdict.accepted and verdict.exit_code in (1, 2, 3)
