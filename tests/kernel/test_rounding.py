"""Float claims against simulated arithmetic: every operation rounded, in many orders, nearest and adversarial."""

from __future__ import annotations

import dataclasses
import math
from collections import Counter

import numpy as np
import pytest

from core.floats import ORDERS, TREES, Machine, adversary, margins, nearest, simulate
from core.heads import Instance, instance
from core.reference import accepts, all_inputs, head, label_of, random_tensors, worst
from separatrix.can.witnesses.index_lookup_quadratic import build
from separatrix.core.errors import InputError
from separatrix.core.semantics import FloatSpec, Semantics
from separatrix.kernel.layer import Layer
from separatrix.kernel.rounding import _scores_are_exact
from separatrix.models.evaluate import evaluate
from separatrix.models.model import Model
from separatrix.tasks.index_lookup import IndexLookup

SPECS = ["float:6", "float:8", "float:11", "float:24", "fp16", "fp32", "bf16", "float:8,tree", "fp16,tree"]


def spec_of(text: str) -> FloatSpec:
    spec = Semantics.parse(text).spec
    assert spec is not None
    return spec


def least_margin(made: Instance, text: str, rng: np.random.Generator, tries: int = 1) -> float:
    """The least margin over the domain, the scored positions, orders and directions of rounding."""
    spec, tokens = spec_of(text), all_inputs(made.task, made.n)
    answers, least = made.task.answer(tokens), math.inf
    if len(tokens) > 256:
        keep = rng.permutation(len(tokens))[:256]
        tokens, answers = tokens[keep], answers[keep]
    for q, query in enumerate(made.task.queries(made.n)):
        for order in TREES if spec.tree else ORDERS:
            for sign in ("nearest", "random"):
                for _ in range(tries):
                    machine = Machine(spec, order, rng, sign)
                    with np.errstate(all="ignore"):
                        logits = simulate(made.model, tokens, query, machine)
                    least = min(least, float(margins(logits, answers[:, q]).min()))
    return least


def least_precision(made: Instance, suffix: str = "", start: int = 3) -> int | None:
    """The least p at which float:p is accepted, or None up to 53."""
    for p in range(start, 54):
        if accepts(made.model, made.task, made.n, Semantics.parse(f"float:{p}{suffix}")):
            return p
    return None


@pytest.mark.parametrize("text", SPECS)
def test_no_simulated_evaluation_gets_an_accepted_head_wrong(text: str) -> None:
    rng, seen = np.random.default_rng(1), Counter[str]()
    for seed in range(160 if spec_of(text).bits < 24 else 70):
        made = instance(seed)
        if not accepts(made.model, made.task, made.n, Semantics.parse(text)):
            seen["rejected"] += 1
            continue
        seen["accepted"] += 1
        assert least_margin(made, text, rng) > 0, (seed, made.family)
    assert seen["accepted"] >= (3 if text == "float:6" else 10) and seen["rejected"] >= 30, seen


@pytest.mark.parametrize("suffix", ["", ",tree"])
def test_heads_at_their_least_precision_survive(suffix: str) -> None:
    """Where the bound is closest to being wrong: the least accepted p of right heads, all orders, several draws."""
    rng, tried = np.random.default_rng(2), 0
    for seed in range(60):
        made = instance(seed)
        if worst(made.model, made.task, made.n)[0] <= 0:
            continue
        p = least_precision(made, suffix)
        if p is None:
            continue
        tried += 1
        assert least_margin(made, f"float:{p}{suffix}", rng, tries=2) > 0, (seed, p)
    assert tried >= 20


def test_adversarial_roundings_do_not_break_the_least_precision() -> None:
    """Each operation errs by a full unit in the direction that hurts the margin."""
    tried, closest = 0, math.inf
    for seed in range(120):
        made = instance(seed)
        margin, tokens, query = worst(made.model, made.task, made.n)
        p = least_precision(made) if margin > 0 else None
        if p is None:
            continue
        spec, rng = FloatSpec(p), np.random.default_rng(seed)
        inputs = all_inputs(made.task, made.n)
        rows = [tokens, *inputs[rng.permutation(len(inputs))[:6]]]
        for row in rows:
            label = label_of(made.task, made.n, row, query)
            for rival in range(made.model.arch.readout.outputs):
                if rival == label:
                    continue
                hurt = adversary(made.model, row, query, label, rival, spec)
                logits = evaluate(made.model, row[None], queries=[query])[0, 0]
                assert hurt > 0, (seed, p, hurt)
                assert hurt <= logits[label] - logits[rival] + 1e-12
                closest = min(closest, hurt / (logits[label] - logits[rival]))
        tried += 1
    assert tried >= 40 and closest < 0.9, (tried, closest)


def test_the_adversary_really_hurts_below_the_least_precision() -> None:
    """A few bits under the bound adversarial rounding does get answers wrong: the test above has teeth."""
    broken = 0
    for seed in range(80):
        made = instance(seed)
        margin, tokens, query = worst(made.model, made.task, made.n)
        p = least_precision(made) if margin > 0 else None
        if p is None or p < 7:
            continue
        label = label_of(made.task, made.n, tokens, query)
        rivals = [r for r in range(made.model.arch.readout.outputs) if r != label]
        broken += any(adversary(made.model, tokens, query, label, r, FloatSpec(p - 5)) <= 0 for r in rivals)
    assert broken >= 5


@pytest.mark.parametrize("dtype", ["float16", "float32"])
def test_real_numpy_arithmetic_gets_accepted_heads_right(dtype: str) -> None:
    text, real = {"float16": "fp16", "float32": "fp32"}[dtype], np.dtype(dtype)
    accepted = 0
    for seed in range(300):
        made = instance(seed)
        if not accepts(made.model, made.task, made.n, Semantics.parse(text)):
            continue
        accepted += 1
        t = {name: tensor.astype(real) for name, tensor in made.model.tensors.items()}
        tokens = all_inputs(made.task, made.n)
        layer = made.model.arch.layers[0]
        x = t["embed.token"][tokens]
        if "embed.position" in t:
            x = x + t["embed.position"]
        if "embed.blank" in t:
            x = np.concatenate([x, np.broadcast_to(t["embed.blank"], (len(x), 1, x.shape[2]))], axis=1)
        for q, query in enumerate(made.task.queries(made.n)):
            scores = ((x[:, [query]] @ t["layers.0.query"][0]) * (x @ t["layers.0.key"][0])).sum(axis=2)
            scores = scores * real.type(layer.scale)  # pyright: ignore[reportAttributeAccessIssue]
            e = np.exp(scores - scores.max(axis=1, keepdims=True))
            heads = ((e / e.sum(axis=1, keepdims=True))[..., None] * (x @ t["layers.0.value"][0])).sum(axis=1)
            out = heads @ t["layers.0.output"][0] + (x[:, query] if layer.residual else real.type(0))  # pyright: ignore
            logits = out @ t["readout.weight"] + t["readout.bias"]
            assert logits.dtype == real
            assert (margins(logits.astype(np.float64), made.task.answer(tokens)[:, q]) > 0).all(), seed
    assert accepted >= 60


def test_acceptance_is_monotone_in_the_precision() -> None:
    for seed in range(40):
        made = instance(seed)
        accepted = [accepts(made.model, made.task, made.n, Semantics.parse(f"float:{p}")) for p in range(3, 30, 2)]
        assert accepted == sorted(accepted), seed
        if accepted[-1]:
            assert accepts(made.model, made.task, made.n)


def test_an_accepted_any_order_is_accepted_as_a_tree() -> None:
    for seed in range(0, 40, 2):
        made = instance(seed)
        p = least_precision(made)
        if p is not None:
            assert accepts(made.model, made.task, made.n, Semantics.parse(f"float:{p},tree"))


def lookup_model(n: int, symbols: int = 2) -> Instance:
    task = IndexLookup(symbols)
    return Instance("lookup", build(task, n), task, n)


def replaced(made: Instance, **tensors: np.ndarray) -> Instance:
    names = {key.replace("_", "."): value for key, value in tensors.items()}
    return dataclasses.replace(made, model=Model(made.model.arch, dict(made.model.tensors) | names))


def test_the_quadratic_witness_needs_few_bits_and_the_simulation_agrees() -> None:
    rng = np.random.default_rng(4)
    for n in (4, 8, 16, 32):
        made = lookup_model(n)
        p = least_precision(made)
        assert p is not None and p <= 2 * math.log2(n) + 6
        tokens, _ = made.task.sample(n, 64, rng)
        labels = made.task.answer(tokens)[:, 0]
        for order in ORDERS:
            for sign in ("nearest", "random", "up", "down"):
                machine = Machine(FloatSpec(p), order, rng, sign)
                assert margins(simulate(made.model, tokens, n, machine), labels).min() > 0


def test_weights_that_the_format_cannot_hold_are_rounded_at_rest() -> None:
    """eta = 1 + 2^-20 needs 21 bits; with fewer the score of a neighbour may move: simulated and claimed alike."""
    rng = np.random.default_rng(5)
    for symbols, n, factor in ((2, 5, 1 + 2**-20), (3, 6, 5 / 3), (2, 12, 0.7)):
        made = lookup_model(n, symbols)
        moved = replaced(made, layers_0_query=made.model.tensors["layers.0.query"] * factor)
        p = least_precision(moved)
        assert p is not None
        tokens, _ = made.task.sample(n, 128, rng)
        for order in ORDERS:
            logits = simulate(moved.model, tokens, n, Machine(FloatSpec(p), order, rng))
            assert margins(logits, made.task.answer(tokens)[:, 0]).min() > 0


def test_scores_that_are_called_exact_are_exact() -> None:
    """Random selectors on random grids: no direction of rounding moves a score that needs none."""
    rng, seen = np.random.default_rng(7), Counter[bool]()
    for _ in range(500):
        width, m = 6, int(rng.integers(1, 4))
        arch = head(3, 4, 2, width, key=m, value=1, blank=bool(rng.integers(2)), scale=2.0 ** int(rng.integers(-3, 4)))
        t = random_tensors(arch, rng)
        grid, top = 2.0 ** -int(rng.integers(0, 6)), int(rng.choice([1, 3, 20, 150]))
        for name in ("embed.token", "embed.position", *(["embed.blank"] if arch.blank else [])):
            t[name] = rng.integers(-top, top + 1, t[name].shape) * grid
        split = rng.integers(0, 2, width).astype(bool)
        t["embed.token"][:, split], t["embed.position"][:, ~split] = 0.0, 0.0
        if rng.random() < 0.2:
            t["embed.position"][0, int(rng.integers(width))] = 1 / 3
        for name in ("query", "key"):
            t[f"layers.0.{name}"] = np.zeros((1, width, m))
            for column in range(m):
                t[f"layers.0.{name}"][0, int(rng.integers(width)), column] = rng.choice([0.0, 1.0, -2.0, 0.5, 1.0, 3.0])
        spec = FloatSpec(int(rng.integers(4, 25)))
        layer = Layer.of(arch, t, 4)
        exact = _scores_are_exact(layer, spec)
        seen[exact] += 1
        if not exact:
            continue
        x = (t["embed.token"][:, None] + t["embed.position"]).reshape(-1, width)
        if arch.blank:
            x = np.concatenate([x, t["embed.blank"][None]])
        q, k = x @ t["layers.0.query"][0], x @ t["layers.0.key"][0]
        true = (q[:, None] * k[None]).sum(axis=2) * layer.scale
        for order in ORDERS:
            machine = Machine(spec, order, rng, "random")
            rest = machine.fl(x)
            q, k = (machine.matmul(rest, machine.fl(t[f"layers.0.{name}"][0])) for name in ("query", "key"))
            s = machine.fl(machine.add(np.moveaxis(machine.fl(q[:, None] * k[None]), -1, 0)) * layer.scale)
            assert np.array_equal(s, true)
    assert min(seen[True], seen[False]) >= 60, seen


def test_nearest_is_the_format_of_numpy() -> None:
    rng = np.random.default_rng(6)
    values = np.r_[
        rng.normal(size=2000) * np.exp(rng.uniform(-20, 12, 2000)), 65504.0, 65519.0, 65521.0, 2.0**-25, 3e-8
    ]
    with np.errstate(over="ignore"):
        assert np.array_equal(nearest(values, spec_of("fp16")), values.astype(np.float16).astype(np.float64))
        assert np.array_equal(nearest(values, spec_of("fp32")), values.astype(np.float32).astype(np.float64))


@pytest.mark.parametrize(
    "text", ["", "fp8", "float:", "float:1", "float:54", "float:-3", "fp32,", "fp32,any", "real,tree"]
)
def test_unknown_semantics_are_input_errors(text: str) -> None:
    with pytest.raises(InputError):
        Semantics.parse(text)


def test_specs_by_hand() -> None:
    assert spec_of("fp16").least == 2.0**-25 and spec_of("fp16").greatest == 65504.0
    assert spec_of("fp32").greatest == float(np.finfo(np.float32).max) and spec_of("bf16").unit == 2.0**-8
    assert spec_of("fp32").depth(1000) == 999 and spec_of("fp32,tree").depth(1000) == 10
    assert spec_of("fp32").depth(1) == 0 and FloatSpec(9).greatest == math.inf
    assert spec_of("fp16").is_tiny(np.array([0.0, 2.0**-14, 2.0**-15, -1e-9])).tolist() == [0, 0, 1, 1]
    assert spec_of("fp64").least > 0, "2^-1075 is no float: it must round up, not to 0"
    assert str(Semantics.parse("float:24,tree")) == "float:24,tree"
