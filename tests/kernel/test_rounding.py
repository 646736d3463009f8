"""Float claims against simulated arithmetic: every operation rounded, in many orders, nearest and adversarial."""

from __future__ import annotations

import dataclasses
import math
from collections import Counter

import numpy as np
import pytest

from core.floats import ORDERS, TREES, Machine, adversary, margins, nearest, simulate
from core.heads import Instance, instance, lookup
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


def test_a_query_that_cancels_against_its_position_is_rounded_before_it_does() -> None:
    """Token 10000.3 + 2, position -10000.3: at 11 bits the sum is noise, although it is small in real arithmetic."""
    made, refused = lookup_model(2), 0
    for big in (100.3, 1000.3, 3001.7, 10000.3):
        token, place = made.model.tensors["embed.token"].copy(), made.model.tensors["embed.position"].copy()
        token[2:, 1:3] += big
        place[-1, 1:3] -= big
        moved = replaced(made, embed_token=token, embed_position=place)
        assert accepts(moved.model, moved.task, 2)
        for text in ("float:11", "float:16", "float:24"):
            accepted = accepts(moved.model, moved.task, 2, Semantics.parse(text))
            refused += not accepted
            assert not accepted or least_margin(moved, text, np.random.default_rng(0)) > 0
    assert not accepts(moved.model, moved.task, 2, Semantics.parse("float:11")) and refused < 12
    assert least_margin(moved, "float:11", np.random.default_rng(0)) < 0


def test_a_residual_that_cancels_is_rounded_before_it_does() -> None:
    """The same through the residual connection: the constant part of the logits."""
    for seed in range(40):
        rng = np.random.default_rng((seed, 3))
        made = lookup(rng, 0.0, 4.0)
        if not made.model.arch.layers[0].residual:
            continue
        big = float(rng.choice([37.7, 301.3, 5003.1]))
        token, place = made.model.tensors["embed.token"].copy(), made.model.tensors["embed.position"].copy()
        symbols = made.task.outputs().k  # pyright: ignore[reportAttributeAccessIssue]
        token[symbols:, 0] += big
        place[-1, 0] -= big
        moved = replaced(made, embed_token=token, embed_position=place)
        for p in (6, 8, 11, 16):
            if accepts(moved.model, moved.task, moved.n, Semantics.parse(f"float:{p}")):
                assert least_margin(moved, f"float:{p}", rng) > 0, (seed, p)


@pytest.mark.parametrize("power", [8, 12, 16, 20, 24, 26, 27, 28, 29])
def test_weights_that_underflow_at_rest_are_magnified_later(power: int) -> None:
    """Query tokens divided by 2^power, and the maps and the scale multiplied back: fp16 loses the token."""
    made = lookup_model(2)
    split = 2.0 ** min(10, power // 2)
    t = made.model.tensors
    token = t["embed.token"].copy()
    token[2:, 1:3] /= 2.0**power
    layer = dataclasses.replace(made.model.arch.layers[0], scale=2.0**power / split**2)
    arch = dataclasses.replace(made.model.arch, layers=(layer,))
    moved = {
        "embed.token": token,
        "layers.0.query": t["layers.0.query"] * split,
        "layers.0.key": t["layers.0.key"] * split,
    }
    small = Instance("lookup", Model(arch, dict(t) | moved), made.task, 2)
    assert accepts(small.model, small.task, 2)
    wrong = least_margin(small, "fp16", np.random.default_rng(0)) <= 0
    accepted = accepts(small.model, small.task, 2, Semantics.parse("fp16"))
    assert not (accepted and wrong)
    assert wrong == (power >= 26) and (accepted or power > 12)


@pytest.mark.parametrize("name", ["layers.0.value", "layers.0.output", "readout.weight", "embed.token"])
def test_value_paths_that_underflow_are_not_accepted(name: str) -> None:
    made, rng = lookup_model(3), np.random.default_rng(0)
    for power in range(4, 30, 3):
        t = dict(made.model.tensors)
        factor = 2.0**-power
        if name == "embed.token":
            token = t[name].copy()
            token[:2, 0] *= factor
            t[name] = token
        else:
            t[name] = t[name] * factor
        other = "readout.weight" if name != "readout.weight" else "layers.0.value"
        t[other] = t[other] * min(2.0**power, 4096.0)
        moved = Instance("lookup", Model(made.model.arch, t), made.task, 3)
        if accepts(moved.model, moved.task, 3, Semantics.parse("fp16")):
            assert least_margin(moved, "fp16", rng) > 0, (name, power)
        if accepts(moved.model, moved.task, 3, Semantics.parse("fp16,tree")):
            assert least_margin(moved, "fp16,tree", rng) > 0, (name, power)


@pytest.mark.parametrize("name", ["layers.0.query", "layers.0.key", "layers.0.value", "embed.token", "readout.bias"])
def test_a_number_at_rest_that_overflows_is_rejected_even_where_nothing_reads_it(name: str) -> None:
    """An unread column of the stream: 0 * inf is NaN in the format, 0 in real arithmetic."""
    made = lookup_model(2)
    arch = dataclasses.replace(made.model.arch, width=made.model.arch.width + 1, residual=())
    t: dict[str, np.ndarray] = {}
    for key, tensor in made.model.tensors.items():
        axes = {"embed.token": 1, "embed.position": 1, "readout.weight": 0, "layers.0.output": 2}
        pads = [(0, 0)] * tensor.ndim
        if key != "readout.bias":
            pads[axes.get(key, 1)] = (0, 1)
        t[key] = np.pad(tensor, pads)
    model = Model(arch, t)
    assert accepts(model, made.task, 2, Semantics.parse("fp16"))
    poisoned = t[name].copy()
    if name == "readout.bias":
        poisoned[:] = 1e6
    else:
        poisoned.reshape(-1, poisoned.shape[-1])[-1, -1] = 1e6
    bad = Model(arch, t | {name: poisoned})
    assert accepts(bad, made.task, 2)
    assert not accepts(bad, made.task, 2, Semantics.parse("fp16"))
    assert name == "readout.bias" or accepts(bad, made.task, 2, Semantics.parse("fp32"))


@pytest.mark.parametrize("text", ["fp16", "fp32", "bf16"])
def test_scores_and_values_that_overflow_are_rejected(text: str) -> None:
    made, spec = lookup_model(3), spec_of(text)
    for name in (
        "embed.token",
        "embed.position",
        "layers.0.query",
        "layers.0.value",
        "layers.0.output",
        "readout.weight",
    ):
        huge = {name: made.model.tensors[name] * spec.greatest}
        with np.errstate(all="ignore"):
            assert not accepts(
                Model(made.model.arch, dict(made.model.tensors) | huge), made.task, 3, Semantics.parse(text)
            )
    layer = dataclasses.replace(made.model.arch.layers[0], scale=spec.greatest)
    arch = dataclasses.replace(made.model.arch, layers=(layer,))
    assert not accepts(Model(arch, made.model.tensors), made.task, 3, Semantics.parse(text))


def test_many_terms_of_little_precision_are_rejected_not_wrapped() -> None:
    """N u of about 1 and beyond: the bound explodes, it does not turn into nonsense."""
    for n in (20, 64, 200):
        made = lookup_model(n)
        assert accepts(made.model, made.task, n)
        for p in (2, 3, 4, 5):
            assert not accepts(made.model, made.task, n, Semantics.parse(f"float:{p}"))
    assert not accepts(lookup_model(300).model, IndexLookup(2), 300, Semantics.parse("bf16"))


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
