"""Attention over tuples: proved where built, never accepted where an input fails, both mutation suites, refusals."""

from __future__ import annotations

import dataclasses
import itertools
from pathlib import Path

import numpy as np
import pytest

from separatrix.can import registry
from separatrix.core.arch import Attention, HigherOrder
from separatrix.core.certificate import Certificate, Claim
from separatrix.core.errors import InputError, UnknownError
from separatrix.core.guarantee import PROVED
from separatrix.kernel import judge, judge_file
from separatrix.kernel.forward import forward
from separatrix.models import Model, evaluate
from separatrix.tasks.match2 import Match2
from separatrix.tasks.match3 import Match3
from separatrix.verify.provers import certify
from tasks.cover import words

WITNESS = registry.get("match3-third-order")
CASES = ((2, 3), (3, 3), (4, 3), (5, 3), (6, 2), (7, 2))  # modulus, N


def certificate(task: Match3, model: Model, n: int) -> Certificate:
    claim = Claim(task.name, task.parameters(), n, "correct", "real")
    return Certificate("tuples", claim, PROVED, task.source_sha256(), {}, {}, model.reference())


def accepted(task: Match3, model: Model, n: int) -> bool:
    return judge(certificate(task, model, n), model.arch, model.tensors).accepted


def worst_margin(task: Match3, model: Model, n: int) -> float:
    """Least margin over every input and position."""
    inputs = np.array(list(itertools.product(range(task.modulus), repeat=n)))
    logits, labels = evaluate(model, inputs), task.answer(inputs)[:, :, None]
    right, wrong = (np.take_along_axis(logits, at, axis=2) for at in (labels, 1 - labels))
    return float((right - wrong).min())


def mutant(model: Model, rng: np.random.Generator) -> Model:
    tensors = {name: np.array(tensor) for name, tensor in model.tensors.items()}
    name = str(rng.choice(list(tensors)))
    tensor, size = tensors[name], 10.0 ** rng.uniform(-6, 1.0)
    if rng.random() < 0.4:
        tensors[name] = tensor * (1 + size * rng.choice([-1, 1]))
    else:
        at = tuple(rng.integers(0, s) for s in tensor.shape)
        if rng.random() < 0.7 and tensor.any():
            at = tuple(rng.choice(np.argwhere(tensor)))
        tensor[at] += size * rng.choice([-1, 1])
    return Model(model.arch, tensors)


def test_the_groups_of_the_task_say_what_it_answers() -> None:
    """Some pair of positions holds a hit iff the answer is 1, on every input; every token is spoken of once."""
    for modulus, n in ((2, 3), (3, 3), (5, 3), (6, 2), (7, 1)):
        task = Match3(modulus)
        inputs = words(task.domain(n))
        answers = task.answer(inputs)
        for query in task.queries(n):
            groups = list(task.tuples(n, query))
            assert sorted(group.token for group in groups) == list(range(modulus))
            for group in groups:
                hits = set(map(tuple, group.hits.tolist()))
                rows = np.flatnonzero(inputs[:, query] == group.token)
                for row in rows:
                    pairs = itertools.product(inputs[row].tolist(), repeat=2)
                    assert answers[row, query] == any(pair in hits for pair in pairs)


def test_attacked_models_are_never_accepted_and_sound_ones_mostly() -> None:
    rng = np.random.default_rng(0)
    false = true = kept = 0
    for _ in range(900):
        modulus, n = CASES[rng.integers(0, len(CASES))]
        task = Match3(modulus)
        attack = mutant(WITNESS.build(task, n), rng)
        margin, ok = worst_margin(task, attack, n), accepted(task, attack, n)
        if margin <= 0:
            false += 1
            assert not ok, f"accepted with margin {margin}"
        elif margin > 1e-9:
            true, kept = true + 1, kept + ok
    assert false >= 100 and true >= 100, (false, true)
    assert kept >= 0.9 * true, (kept, true)


def test_any_changed_byte_is_rejected(tmp_path: Path) -> None:
    task = Match3(5)
    model = WITNESS.build(task, 3)
    model.save(tmp_path)
    path = certificate(task, model, 3).write(tmp_path, "c")
    assert judge_file(path).accepted
    rng = np.random.default_rng(0)
    for file in (path, tmp_path / "config.json", tmp_path / "model.safetensors"):
        data = file.read_bytes()
        for at in rng.choice(len(data), min(len(data), 250), replace=False):
            file.write_bytes(data[:at] + bytes([data[at] ^ (1 << rng.integers(0, 8))]) + data[at + 1 :])
            assert judge_file(path).exit_code in (1, 2)
        file.write_bytes(data)
    assert judge_file(path).accepted


def test_a_certificate_is_about_its_own_task_length_and_model() -> None:
    task, n = Match3(7), 4
    model = WITNESS.build(task, n)
    assert accepted(task, model, n) and accepted(task, model, 2)
    assert not accepted(Match3(6), model, n)
    assert not accepted(task, model, 64)  # a temperature for 4 numbers is too low for 64
    good = certificate(task, model, n)
    for wrong in (
        dataclasses.replace(good, evidence={"bound": 1}),
        dataclasses.replace(good, arrays={"a": np.zeros(1)}),
        dataclasses.replace(good, claim=dataclasses.replace(good.claim, semantics="fp32")),
        dataclasses.replace(good, kind="separable"),
    ):
        assert not judge(wrong, model.arch, model.tensors).accepted


def test_balls_enclose_the_plain_evaluation() -> None:
    rng = np.random.default_rng(1)
    for order, residual in ((3, False), (3, True), (4, False)):
        task = Match3(4)
        built = WITNESS.build(task, 3)
        layer = HigherOrder(heads=2, key_width=3, value_width=2, order=order, scale=0.7, residual=residual)
        d, r = built.arch.width, order - 1
        tensors = {k: v for k, v in built.tensors.items() if not k.startswith("layers")} | {
            "layers.0.query": rng.normal(size=(2, d, 3)),
            "layers.0.keys": rng.normal(size=(r, 2, d, 3)),
            "layers.0.values": rng.normal(size=(r, 2, d, 2)),
            "layers.0.output": rng.normal(size=(2, 2, d)),
            "readout.weight": rng.normal(size=(d, 2)),
        }
        model = Model(dataclasses.replace(built.arch, layers=(layer,)), tensors)
        tokens = rng.integers(0, 4, (5, 3))
        plain = evaluate(model, tokens)
        for row, expected in zip(tokens, plain, strict=True):
            # the same sum, spelled out
            x = np.concatenate([tensors["embed.token"][row], tensors["embed.blank"][None]])
            for query in range(3):
                total = np.zeros(d)
                for h in range(2):
                    z, acc = 0.0, np.zeros(2)
                    for at in itertools.product(range(4), repeat=r):
                        key, value = np.ones(3), np.ones(2)
                        for slot, j in enumerate(at):
                            key = key * (x[j] @ tensors["layers.0.keys"][slot, h])
                            value = value * (x[j] @ tensors["layers.0.values"][slot, h])
                        e = np.exp(0.7 * (x[query] @ tensors["layers.0.query"][h]) @ key)
                        z, acc = z + e, acc + e * value
                    total = total + acc / z @ tensors["layers.0.output"][h]
                total = total + x[query] * residual
                logits = total @ tensors["readout.weight"] + tensors["readout.bias"]
                np.testing.assert_allclose(expected[query], logits, rtol=1e-9, atol=1e-9)
                ball = forward(model.arch, tensors, row, query)
                assert (ball.low <= logits + 1e-9).all() and (logits - 1e-9 <= ball.high).all()
                assert (ball.rad < 1e-9).all()


def test_other_checkers_refuse_the_layer_and_this_one_refuses_other_models() -> None:
    task, n = Match3(5), 3
    model = WITNESS.build(task, n)
    for method in ("separable", "heads", "contract"):
        assert certify(model, task, n, method=method).verdict == "unknown"
    assert judge(certificate(task, model, n), model.arch, model.tensors, engine="arb").accepted
    exhaustive = dataclasses.replace(certificate(task, model, n), kind="exhaustive")
    for engine in ("fast", "arb"):  # the plain enumeration knows the layer
        assert judge(exhaustive, model.arch, model.tensors, engine=engine).accepted  # pyright: ignore
    other = registry.get("match2-circle").build(Match2(5), n)
    assert certify(other, Match2(5), n, method="tuples").verdict == "unknown"
    assert not accepted(task, other, n)
    with pytest.raises(InputError, match="order"):
        dataclasses.replace(model.arch, layers=(dataclasses.replace(model.arch.layers[0], order=2),)).check()
    assert isinstance(other.arch.layers[0], Attention)


def test_too_many_tuples_are_refused_before_memory_is_taken() -> None:
    task = Match3(5)
    model = WITNESS.build(task, 3)
    with pytest.raises(UnknownError, match="too large"):
        forward(model.arch, model.tensors, np.zeros(5000, dtype=np.int64), 0)
    layer = dataclasses.replace(model.arch.layers[0], order=8)
    tensors = {
        name: np.repeat(t[:1], 7, axis=0) if name in ("layers.0.keys", "layers.0.values") else t
        for name, t in WITNESS.build(Match3(64), 3).tensors.items()
    }
    arch = dataclasses.replace(WITNESS.build(Match3(64), 3).arch, layers=(layer,))
    verdict = judge(certificate(Match3(64), Model(arch, tensors), 3), arch, tensors)
    assert verdict.exit_code == 3 and "too many tuples" in verdict.sentence
