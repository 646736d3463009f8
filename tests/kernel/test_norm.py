"""Layer norm: the ball and arb evaluations agree with torch.nn.LayerNorm, and kinds that do not know it refuse it."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch

from kernel.test_heads_mutations import shared
from separatrix.can.witnesses.equality_two_layer import build as build_equality
from separatrix.can.witnesses.index_lookup_quadratic import build as build_lookup
from separatrix.core.arch import Arch, Attention, FeedForward, LayerNorm, Readout, Table
from separatrix.core.certificate import Certificate, Claim
from separatrix.core.errors import InputError
from separatrix.core.guarantee import PROVED
from separatrix.core.shapes import check_tensors, tensor_shapes
from separatrix.core.task import Task
from separatrix.kernel import judge
from separatrix.kernel.arb_nets import Net, precision
from separatrix.kernel.balls import Ball
from separatrix.kernel.forward import forward
from separatrix.kernel.norm import normalised
from separatrix.models.evaluate import evaluate
from separatrix.models.model import Model
from separatrix.tasks import make_task
from separatrix.verify.provers import certify

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


def test_an_integer_eps_that_is_no_float_is_not_rounded() -> None:
    """With eps = 2^53 + 1 the norm of (1, -1) is 1 / sqrt(2^53 + 2); arb tells it from that with eps = 2^53."""
    from flint import arb

    arch = Arch(2, Table(1), (FeedForward(1, norm="pre"),), Readout(1))
    tensors = {name: np.zeros(shape) for name, shape in tensor_shapes(arch).items()}
    tensors["embed.token"][:] = [[1.0, -1.0]]
    for name in ("layers.0.norm_scale", "layers.0.in", "layers.0.out", "readout.weight"):
        tensors[name].reshape(-1)[0] = 1.0
    tensors["layers.0.norm_eps"] = np.array(2**53 + 1)
    with precision(256):
        (found,) = Net(arch, tensors).logits(np.zeros(1, dtype=np.int64), 0)
        assert found.overlaps(1 / arb(2**53 + 2).sqrt()) and not found.overlaps(1 / arb(2**53 + 1).sqrt())


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


def normed(made: Model, which: int) -> Model:
    """The model with a layer norm: before layer `which`, or at the end for -1."""
    arch, d = made.arch, made.arch.width
    if which < 0:
        last = len(arch.layers)
        more = {f"layers.{last}.scale": np.ones(d), f"layers.{last}.bias": np.zeros(d)}
        return Model(dataclasses.replace(arch, layers=(*arch.layers, LayerNorm())), dict(made.tensors) | more)
    layer = dataclasses.replace(arch.layers[which], norm="pre")  # pyright: ignore[reportCallIssue]
    layers = (*arch.layers[:which], layer, *arch.layers[which + 1 :])
    more = {"scale": np.ones(d), "bias": np.zeros(d), "eps": np.array(1e-5)}
    named = {f"layers.{which}.norm_{name}": value for name, value in more.items()}
    return Model(dataclasses.replace(arch, layers=layers), dict(made.tensors) | named)


def proved_models() -> dict[str, tuple[Model, Task, int]]:
    """By kind of certificate, a model that is proved right with it."""
    lookup = make_task("index-lookup", {"symbols": 4})
    one, rng = build_lookup(lookup, 4), np.random.default_rng(0)
    return {
        "separable": (one, lookup, 4),
        "heads": (shared(one, (0.5, 0.5), rng), lookup, 4),
        "contract": (build_equality(make_task("equality", {}), 4), make_task("equality", {}), 4),
    }


@pytest.mark.parametrize("kind", ["separable", "heads", "contract"])
def test_kinds_that_do_not_know_layer_norm_refuse_it(kind: str) -> None:
    """Evidence that is accepted for a model is not for the same model with a layer norm somewhere."""
    made, task, n = proved_models()[kind]
    outcome = certify(made, task, n, method=kind)
    assert outcome.verdict == "proved" and outcome.certificate is not None
    for which in (*range(len(made.arch.layers)), -1):
        other = normed(made, which)
        for engine in ("fast", "arb"):
            certificate = dataclasses.replace(outcome.certificate, model=other.reference())
            verdict = judge(certificate, other.arch, other.tensors, engine=engine)
            assert not verdict.accepted and verdict.exit_code == 3, (which, verdict.sentence)
        assert certify(other, task, n, method=kind).verdict != "proved"


@pytest.mark.parametrize("kind", ["exhaustive", "counterexample"])
def test_kinds_that_evaluate_inputs_evaluate_the_layer_norm(kind: str) -> None:
    """A layer norm that turns the read-out around makes a right model wrong, and both kinds say so."""
    task, n = make_task("index-lookup", {"symbols": 2}), 2
    made = normed(build_lookup(task, n), -1)
    other = Model(made.arch, dict(made.tensors) | {"layers.1.scale": -np.ones(made.arch.width)})
    tokens = {"tokens": [0, 1, 2], "query": 2}
    statement = "correct" if kind == "exhaustive" else "incorrect"
    claim = Claim(task.name, task.parameters(), n, statement, "real")
    for model_, right in ((made, True), (other, False)):
        evidence = {} if kind == "exhaustive" else tokens
        certificate = Certificate(kind, claim, PROVED, task.source_sha256(), evidence, {}, model_.reference())
        for engine in ("fast", "arb"):
            verdict = judge(certificate, model_.arch, model_.tensors, engine=engine)
            assert verdict.accepted == (right == (kind == "exhaustive")), verdict.sentence
