"""Contracts in float formats: no simulated evaluation leaves the kernel's boxes, or errs where a claim is accepted."""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from core.deep_floats import Calls, Join, simulate_deep
from core.floats import ORDERS, TREES, Machine, margins
from kernel import test_contract
from kernel.contract_cases import Step, in_cell, inputs_of, random_chain, random_model
from kernel.test_contract import CASES, WAYS, built, mutant, worst_margin
from separatrix.can import registry
from separatrix.core.arch import Attention
from separatrix.core.certificate import Certificate
from separatrix.core.errors import SeparatrixError
from separatrix.core.semantics import FloatSpec, Semantics
from separatrix.core.shapes import tensor_shapes
from separatrix.core.task import Task
from separatrix.kernel import arb, contract, judge, judge_file
from separatrix.kernel.balls import Ball
from separatrix.kernel.contracts.layers import Weights, blocks_of
from separatrix.kernel.contracts.losses import Roundings
from separatrix.kernel.contracts.rounded import Floats, Product
from separatrix.kernel.contracts.rows import rows_of
from separatrix.models.model import Model
from separatrix.tasks.dyck import Dyck
from separatrix.tasks.equality import Equality
from separatrix.tasks.k_hop import KHop
from separatrix.verify.provers import certify
from separatrix.verify.provers.precision import least_precision
from tasks.cover import words

SPECS = ["float:4", "float:6", "float:11", "fp16", "fp32", "bf16", "float:5,tree", "fp16,tree"]
TOLERANCE = 1e-12  # the simulation is in float64


def machines(text: str, rng: np.random.Generator, count: int) -> Iterator[tuple[Machine, Join]]:
    """Some orders of summation and kinds of rounding, with a way of joining sums."""
    spec = Semantics.parse(text).spec
    assert spec is not None
    for _ in range(count):
        order = (TREES if spec.tree else ORDERS)[rng.integers(len(TREES if spec.tree else ORDERS))]
        kind = rng.integers(5)
        join: Join = "heads" if rng.integers(2) else "stacked"
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
    weights = Weights(model.transformer, model.tensors, noise, terms, bool(rng.integers(2)), floats)
    found = [(simulate_deep(model, words, *given), given) for given in machines(text, rng, count)]
    first, blocks = blocks_of(model.transformer)
    wrong = 0
    with np.errstate(all="ignore"):
        stream, labels = contract._tokens(chain[0], n, weights, first), words
        for step, block in zip(chain, blocks, strict=True):
            at = block.layer
            for (streams, _), _ in found:  # what the layer reads
                for j in range(n + model.transformer.blank):
                    number = stream.number[j, labels[:, j] if j < n else np.zeros(len(words), dtype=np.int64)]
                    box, there = stream.box[number], streams[at][:, j]
                    off = np.abs(there - box.mid) - box.rad
                    wrong += int((~(off <= TOLERANCE * (1 + np.abs(there)))).sum())
                    seen["boxes"] += off.size
            last = step is chain[-1]
            rows = rows_of(step, n, stream, range(n), model.transformer.blank and not last)
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
    for trial in range(36):
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
    assert seen["boxes"] >= 2000 and seen["margins"] >= 500 and seen["refused"] <= 30, seen


def _no_loss(self: Any, x: Any, *args: Any) -> Product:
    product = whole_multiply(self, x, *args)
    return Product(dataclasses.replace(product.ball, rad=product.ball.rad - product.lost), product.lost * 0.0)


whole_multiply = Floats.multiply
BROKEN: dict[str, tuple[Any, str, Callable[..., Any]]] = {
    "products": (Floats, "multiply", _no_loss),
    "values and outputs": (Roundings, "loss", lambda self, h, sizes, count=0.0: np.zeros((1, sizes.shape[1]))),
    "logits": (Roundings, "taken", lambda self, own, read: np.zeros((len(own.mid), read.sizes.shape[1]))),
    "the stream": (Roundings, "carried", lambda self, box: box.rad),
    "sums of tokens and positions": (Floats, "add", lambda self, x, y: x + y),
    "numbers at rest": (Floats, "rest", lambda self, values: Ball.exact(values)),
}


@pytest.mark.parametrize("what", BROKEN)
def test_a_rounding_that_is_not_counted_shows(what: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """On words of one or two positions, where real bounds are close: some evaluation escapes, and none otherwise."""

    def run() -> int:
        rng, wrong = np.random.default_rng(11), 0
        for _ in range(24):
            chain, n = random_chain(rng, int(rng.integers(1, 3)), True), int(rng.integers(1, 3))
            model = random_model(rng, chain, n, "causal")
            wrong += escapes(model, chain, n, "float:11", rng, Counter(), 2)
        return wrong

    if what == "products":
        assert not run()
    monkeypatch.setattr(*BROKEN[what])
    assert run()


@pytest.mark.parametrize("text", ["float:4", "float:11", "fp16", "fp32", "float:7,tree"])
def test_scores_and_weights_of_one_query(text: str) -> None:
    """Simulated ones lie in their balls, come near the ends, and are exact where the kernel says so."""
    rng, floats = np.random.default_rng(3), Floats.of(Semantics.parse(text).spec)
    assert floats is not None
    seen, near_score, near_weight = Counter[str](), 0.0, 0.0
    for trial in range(120):
        m, scale = int(rng.integers(1, 5)), float(rng.choice([1.0, 0.25, 0.3, -3.0]))
        query, key = rng.standard_normal((1, m)) * 3, rng.standard_normal((6, m)) * (rng.random((6, m)) < 0.8)
        step = 0.5 if trial % 2 else 2.0 ** -(floats.spec.bits - 4)  # numbers of the format
        query, key = np.clip(np.rint(query / step) * step, -4, 4), np.clip(np.rint(key / step) * step, -4, 4)
        ball = floats.scores(Ball.exact(query), Ball.exact(key), scale)
        for machine, _ in machines(text, rng, 3):
            s = machine.add(np.moveaxis(machine.fl(query * key), -1, 0))
            s = s if scale == 1.0 else machine.fl(s * machine.fl(np.array(scale)))
            off = np.abs(s - ball.mid[0])
            assert (off <= ball.rad[0] * (1 + 1e-12)).all()
            seen["exact"] += int((ball.rad == 0).sum())
            near_score = max(near_score, float((off / np.where(ball.rad[0] > 0, ball.rad[0], np.inf)).max()))
            e = machine.exp(machine.fl(s - s.max()))
            low, high = floats.exponentials(Ball.exact(s[None]), np.array([s.max()]), np.full((1, 6), s.max()))
            assert (low[0] - floats.spec.least <= e).all() and (e <= high[0] + floats.spec.least).all()
            real = np.exp(s - s.max())
            near_weight = max(near_weight, float(((e - real) / (high[0] - real)).max()))
    assert seen["exact"] >= 50 and near_score >= 0.4 and near_weight >= 0.5, (seen, near_score, near_weight)


# ------------------------------------------------------------------------------------------------ accidents


def certificate(task: Task, model: Model, n: int, text: str, **changes: object) -> Certificate:
    made = test_contract.certificate(task, model, n, **changes)
    return dataclasses.replace(made, claim=dataclasses.replace(made.claim, semantics=text))


def accepted(task: Task, model: Model, n: int, text: str, engine: arb.Engine = "fast", ways: Any = WAYS) -> bool:
    """In one way of looking or another, with every hash recomputed."""
    choices = [dict(zip(("noise", "terms", "merge"), way, strict=True)) for way in ways]
    given = (certificate(task, model, n, text, **choice) for choice in choices)
    return any(judge(c, model.arch, model.tensors, engine=engine).accepted for c in given)


def test_a_changed_byte_is_noticed(tmp_path: Path) -> None:
    """Hashes untouched."""
    task, model = built(4)
    model.save(tmp_path)
    path = certificate(task, model, 4, "fp32").write(tmp_path, "c")
    assert judge_file(path).accepted
    rng = np.random.default_rng(1)
    for file in (path, tmp_path / "config.json", tmp_path / "model.safetensors"):
        data = file.read_bytes()
        for at in rng.choice(len(data), min(len(data), 120), replace=False):
            file.write_bytes(data[:at] + bytes([data[at] ^ (1 << rng.integers(0, 8))]) + data[at + 1 :])
            assert judge_file(path).exit_code in (1, 2)
        file.write_bytes(data)
    text = path.read_text()
    assert judge_file(path).accepted and text.count('"fp32"') == 1
    path.write_text(text.replace('"fp32"', '"fp16"'))
    assert not judge_file(path).accepted


# ------------------------------------------------------------------------------------------------ attacks


def errs(task: Task, model: Model, n: int, text: str, rng: np.random.Generator, count: int = 3) -> bool:
    """Whether some simulated evaluation gives a wrong answer, or ties."""
    inputs, queries = words(task.domain(n)), list(task.queries(n))
    inputs = inputs[rng.permutation(len(inputs))[:32]]
    labels = task.answer(inputs)
    for machine, join in machines(text, rng, count):
        with np.errstate(all="ignore"):
            logits = simulate_deep(model, inputs, machine, join)[1]
        if any((margins(logits[:, query], labels[:, at]) <= 0).any() for at, query in enumerate(queries)):
            return True
    return False


def test_nothing_that_an_evaluation_refutes_is_accepted() -> None:
    """Witnesses and mutants of them in few bits: truth by simulation, or by enumeration where reals already fail."""
    rng, seen = np.random.default_rng(5), Counter[str]()
    for trial in range(400):
        name, task, n = CASES[trial % len(CASES)]
        text = f"float:{rng.integers(4, 10)}" + ",tree" * int(rng.integers(2))
        model = registry.get(name).build(task, n)
        if trial % 3:
            model = mutant(model, rng)
        false = worst_margin(task, model, n) <= 0
        seen["by reals"] += false
        false = false or errs(task, model, n, text, rng)
        ways = [WAYS[rng.integers(len(WAYS))]]
        ok = accepted(task, model, n, text, ways=ways)
        assert not (ok and false), (name, n, text)
        if trial % 16 == 0:
            assert not (accepted(task, model, n, text, "arb", ways) and false), (name, n, text)
        seen["false"] += false
        seen["accepted"] += ok
        if seen["false"] - seen["by reals"] >= 64 and seen["false"] >= 104 and seen["accepted"] >= 8:
            break
    assert seen["false"] >= 100 and seen["false"] - seen["by reals"] >= 60 and seen["accepted"] >= 8, seen


def test_clear_claims_are_accepted() -> None:
    """Mutants that are right in exact arithmetic, in fp32 or by trees; no evaluation shows one of them false."""
    rng, seen = np.random.default_rng(6), Counter[str]()
    trial = 0
    while seen["true"] < 104:
        name, task, n = CASES[trial % len(CASES)]
        model, trial = mutant(registry.get(name).build(task, n), rng), trial + 1
        text = ("fp32", "float:28", "fp32,tree")[trial % 3]
        if worst_margin(task, model, n) > 1e-3:
            ok = accepted(task, model, n, text)
            seen["true"] += 1
            seen["accepted"] += ok
            assert not ok or not errs(task, model, n, text, rng, 1)
    assert seen["accepted"] >= 0.9 * seen["true"], seen


@pytest.mark.parametrize(
    ("name", "task", "n", "text"),
    [
        ("equality-two-layer", Equality(2), 6, "float:9"),
        ("dyck-two-layer", Dyck(1, 2), 6, "fp16"),
        ("dyck-three-layer", Dyck(1, 3), 4, "float:20,tree"),
        ("k-hop-doubling", KHop(2, 2), 4, "fp32"),
    ],
    ids=str,
)
def test_engines_find_about_the_same(name: str, task: Task, n: int, text: str) -> None:
    """Both accept, and where the read-out's bias is pulled over their margins, neither does."""
    model = registry.get(name).build(task, n)
    for engine in ("fast", "arb"):
        assert accepted(task, model, n, text, engine)
    bad = dict(model.tensors) | {"readout.bias": model.tensors["readout.bias"] * 2.5}
    for engine in ("fast", "arb"):
        assert not accepted(task, Model(model.arch, bad), n, text, engine)


def test_engines_agree_where_weights_are_known_to_a_factor_only() -> None:
    """Scores of thousands in few bits: weights between e^-60 and e^60 times what they should be, and yet clear."""
    task, model = built(4)
    tensors = {name: np.array(tensor) for name, tensor in model.tensors.items()}
    for name in ("layers.0.query", "layers.2.query"):
        tensors[name] *= 1000.0
    hot = Model(model.arch, tensors)
    rng = np.random.default_rng(3)
    for text, wanted in (("bf16", True), ("float:6", False)):
        for engine in ("fast", "arb"):
            assert accepted(task, hot, 4, text, engine) == wanted, (text, engine)
    assert not errs(task, hot, 4, "bf16", rng, 8)


# ------------------------------------------------------------------------------------------------ what is refused


def test_a_claim_in_another_format_is_another_claim() -> None:
    task, model = built(6)
    for engine in ("fast", "arb"):
        for text, wanted in (("fp32", 0), ("fp16,tree", 0), ("float:4", 1), ("float:2", 1), ("bits:8.4", 1)):
            verdict = judge(certificate(task, model, 6, text), model.arch, model.tensors, engine=engine)
            assert verdict.exit_code == wanted, (text, verdict.sentence)
        for text in ("float:99", "fp32,tree,tree", "fp8", ""):
            verdict = judge(certificate(task, model, 6, text), model.arch, model.tensors, engine=engine)
            assert verdict.exit_code == 2, (text, verdict.sentence)


def test_layers_that_the_check_does_not_know_are_refused() -> None:
    task, model = built(4)
    arch = model.transformer
    for change in ({"weights": "hard"}, {"norm": "layer"}, {"mask": "window"}):
        layers = (dataclasses.replace(arch.layers[0], **change), *arch.layers[1:])
        for engine in ("fast", "arb"):
            odd = dataclasses.replace(arch, layers=layers)
            verdict = judge(certificate(task, model, 4, "fp32"), odd, model.tensors, engine=engine)
            assert not verdict.accepted and verdict.exit_code == 3


@pytest.mark.parametrize("name", ["embed.token", "layers.0.query", "layers.0.output", "layers.1.out", "readout.bias"])
def test_what_may_overflow_is_rejected(name: str) -> None:
    """Anywhere, also in a coordinate that nobody reads: infinity times 0 is not a number."""
    task, model = built(6)
    tensors = {key: np.array(tensor) for key, tensor in model.tensors.items()}
    tensors[name].reshape(-1)[-1] = 7e4
    bad = Model(model.arch, tensors)
    for engine in ("fast", "arb"):
        verdict = judge(certificate(task, bad, 6, "fp16"), bad.arch, bad.tensors, engine=engine)
        assert not verdict.accepted and "overflow" in verdict.sentence, verdict.sentence


def test_a_head_that_adds_nothing_may_not_overflow_either() -> None:
    """Its scores are sums of many products, whose roundings add up: infinity less infinity is no number."""
    bits, more = 7, 512
    task, model = built(2)
    first, *others = model.arch.layers
    assert isinstance(first, Attention)
    layers = (dataclasses.replace(first, heads=2), *others)
    arch = dataclasses.replace(model.arch, width=model.arch.width + more, residual=(), layers=layers)
    for size, wanted in ((2.0**50, True), (2.0**61, False)):  # of queries and keys
        tensors = {name: np.zeros(shape) for name, shape in tensor_shapes(arch).items()}
        for name, tensor in model.tensors.items():
            tensors[name][tuple(map(slice, tensor.shape))] = tensor
        tensors["embed.token"][:, -more:] = 1.0
        tensors["layers.0.query"][1, -more:] = tensors["layers.0.key"][1, -more:] = 1.001 * size / more
        padded = Model(arch, tensors)
        machine = Machine(FloatSpec(bits, -126, 127), "sequential", np.random.default_rng(0), "up")
        query = machine.matmul(np.ones((1, more)), machine.fl(tensors["layers.0.query"][1, -more:]))
        assert ((query**2).sum() <= machine.spec.greatest) == wanted
        for engine in ("fast", "arb"):
            verdict = judge(certificate(task, padded, 2, f"float:{bits}"), arch, padded.tensors, engine=engine)
            assert verdict.accepted == wanted and ("overflow" in verdict.sentence) != wanted, verdict.sentence


def test_models_certify_in_floats_and_have_a_least_precision() -> None:
    task, model = built(8)
    outcome = certify(model, task, 8, Semantics.parse("fp32"))
    assert outcome.verdict == "proved" and "fp32" in outcome.sentence and outcome.certificate is not None
    assert judge(outcome.certificate, model.arch, model.tensors, engine="arb").accepted
    bits, least = least_precision(model, task, 8, method="contract")
    assert bits is not None and 6 <= bits <= 12 and least.verdict == "proved"
    assert not accepted(task, model, 8, f"float:{bits - 1}")
