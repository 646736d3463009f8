"""The relu check in float formats: no simulated evaluation is below the kernel's bounds, and none errs on a claim."""

from __future__ import annotations

import dataclasses
import itertools
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from core.floats import ORDERS, TREES, Machine, margins, simulate
from core.reference import all_inputs, random_tensors, worst
from kernel.heads_cases import OneCell
from kernel.relu_cases import anyhow
from kernel.test_heads_floats import in_cell
from kernel.test_relu_mutations import Arrays, base_model
from separatrix.core.arch import Attention
from separatrix.core.certificate import Certificate, Claim
from separatrix.core.errors import SeparatrixError
from separatrix.core.guarantee import PROVED
from separatrix.core.semantics import Semantics
from separatrix.core.task import Task
from separatrix.kernel import arb, judge, judge_file
from separatrix.kernel.arb_nets import precision
from separatrix.kernel.arb_relu import View
from separatrix.kernel.arb_relu_net import Net as ArbNet
from separatrix.kernel.arb_relu_net import Scene as ArbScene
from separatrix.kernel.case import Case
from separatrix.kernel.relu_loss import Loss
from separatrix.kernel.relu_ranges import Ranges, units
from separatrix.kernel.relu_tables import Scene
from separatrix.learn import one_layer, train
from separatrix.models.model import Model
from separatrix.tasks import registry
from separatrix.tasks.index_lookup import IndexLookup
from separatrix.verify.provers import certify
from separatrix.verify.provers.head_cells import Finding
from separatrix.verify.provers.precision import least_precision
from separatrix.verify.provers.relu import prove
from separatrix.verify.provers.relu_cells import ReluBench
from separatrix.verify.provers.relu_ranges import guess

SPECS = ["float:7", "float:9", "float:12", "fp16", "fp32", "bf16", "float:7,tree", "fp16,tree"]
Made = tuple[Model, Task, int]


@pytest.fixture(autouse=True)
def own_task(monkeypatch: pytest.MonkeyPatch) -> None:
    """Registers the test task for the duration of a test."""
    monkeypatch.setitem(registry._entries, OneCell.name, OneCell)


def made(seed: int) -> Made:
    """A built head of index lookup and a small random ReLU layer, or normal weights on a task of any kind of cells."""
    if seed % 2:
        given = anyhow(seed, (1, 2, 3)[seed % 3], "none")
        return given.model, given.task, given.n
    return plain(seed)


def plain(seed: int) -> Made:
    """A built head, shared out, and a small random ReLU layer with or without a residual."""
    return base_model(seed * 2 + seed // 2 % 2, np.random.default_rng((seed, 86)))


def findings(given: Made, text: str) -> list[Finding]:
    """The kernel's bounds on all cells; empty where it says nothing in this format."""
    try:
        bench = ReluBench(*given, Semantics.parse(text))
        return [bench.finding(piece, bench.search(piece, 0, np.inf)) for piece in bench.pieces()]
    except SeparatrixError:
        return []


def ways(text: str, rng: np.random.Generator, count: int) -> Iterator[tuple[Machine, str]]:
    """Some orders of summation, kinds of rounding and ways of adding."""
    spec = Semantics.parse(text).spec
    assert spec is not None
    every = list(itertools.product(TREES if spec.tree else ORDERS, ("nearest", "random"), ("stacked", "heads")))
    for at in rng.permutation(len(every))[:count]:
        order, sign, join = every[at]
        yield Machine(spec, order, rng, sign), join


def violations(given: Made, text: str, rng: np.random.Generator, seen: Counter[str], count: int = 4) -> int:
    """How many margins as computed are below the kernel's bound, whether that is positive or not."""
    model, task, n = given
    tokens, cells, wrong = all_inputs(task, n), findings(given, text), 0
    tokens = tokens[rng.permutation(len(tokens))[:96]]
    for query in {finding.piece.group.query for finding in cells}:
        for machine, join in ways(text, rng, count):
            with np.errstate(all="ignore"):
                logits = simulate(model, tokens, query, machine, join)  # pyright: ignore[reportArgumentType]
            for finding in cells:
                group = finding.piece.group
                if group.query != query:
                    continue
                assert group.labels is not None
                for cell, label in enumerate(group.labels.tolist()):
                    inside = in_cell(finding, cell, tokens) & group.constraint.holds(tokens)
                    own = logits[inside]
                    gap = own[:, [label]] - np.delete(own, label, axis=1)
                    wrong += int((~(gap >= finding.margins[cell])).sum())
                    seen["bounds"] += gap.size
                    seen["positive"] += int((finding.margins[cell] > 0).sum()) * len(gap)
    return wrong


@pytest.mark.parametrize("text", SPECS)
def test_no_simulated_evaluation_is_below_the_bound(text: str) -> None:
    rng, seen = np.random.default_rng(4), Counter[str]()
    for seed in range(10):
        assert not violations(made(seed), text, rng, seen), seed
    assert seen["bounds"] >= 500, seen
    assert text != "fp32" or seen["positive"] >= 200, seen


def test_of_one_head_the_kernel_proves_what_the_prover_does() -> None:
    """However far the normaliser ranges: only the sign of what is left of a margin counts."""
    seen = 0
    for seed in range(5, 18):
        given = anyhow(seed, 1, "none")
        bench = ReluBench(given.model, given.task, given.n, Semantics.parse("float:12"))
        for piece in bench.pieces():
            part = bench.search(piece, 0, np.inf)
            left = bench.finding(piece, part).margins.reshape(-1)[part.state == 1]
            assert (left > 0).all(), seed
            seen += len(left)
    assert seen >= 50


def cancelling(where: str) -> Made:
    """Every input gives the same stream and pre-activation 1, so that the kernel's real bound is exact, and what is
    computed before (units) or behind (path) the ReLU layer cancels.
    """
    model, task, n = plain(0)
    one, ff = model.arch.layers
    layers = (dataclasses.replace(one, residual=False), dataclasses.replace(ff, residual=False))
    t = {name: tensor * 0.0 for name, tensor in model.tensors.items()}
    t["embed.token"][:, 0] = 1.1
    t["layers.0.value"][0, 0, 0], t["layers.0.output"][0, 0, :2] = 1.3, (1.7, 0.9)
    t["layers.1.in_bias"][:2] = 1.0
    t["readout.weight"][0] = np.linspace(-1.0, 1.0, t["readout.weight"].shape[1])
    if where == "units":
        t["layers.1.in"][0, 0], t["layers.1.in"][1, 0] = 90.0, -170.0
        t["layers.1.out"][0, 0] = 1.0
    else:
        t["layers.1.out"][:2, 0] = 101.3, -101.3
        t["layers.1.out_bias"][0] = 0.3
    return Model(dataclasses.replace(model.arch, layers=layers), t), task, n


@pytest.mark.parametrize("where", ["units", "path"])
def test_an_error_that_is_not_counted_shows(where: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the roundings before, or behind, the ReLU layer some evaluation is below the bound; with them, none."""
    given, seen = cancelling(where), Counter[str]()
    assert not violations(given, "float:8", np.random.default_rng(6), seen, 12) and seen["bounds"]
    whole = Loss.of.__func__  # pyright: ignore[reportFunctionMemberAccess]

    def broken(cls: type[Loss], *args: object) -> Loss:
        loss = whole(cls, *args)
        loss = dataclasses.replace(loss, units=loss.units * 0.0)
        return (
            loss if where == "units" else dataclasses.replace(loss, budget=dataclasses.replace(loss.budget, path=0.0))
        )

    monkeypatch.setattr(Loss, "of", classmethod(broken))
    assert violations(given, "float:8", np.random.default_rng(6), seen, 12) > 0


# ------------------------------------------------------------------------------------------------ accidents


@pytest.mark.parametrize("name", ["right.cert.json", "right.cert.safetensors", "model.safetensors", "config.json"])
def test_a_changed_byte_is_noticed(tmp_path: Path, name: str) -> None:
    """Hashes untouched."""
    given, rng = plain(0), np.random.default_rng(9)
    arrays = arrays_of(given, "fp32")
    assert arrays is not None
    given[0].save(tmp_path)
    path = certificate(given, "fp32", arrays).write(tmp_path, "right")
    assert judge_file(path).accepted
    data = (tmp_path / name).read_bytes()
    for at in rng.choice(len(data), min(len(data), 150), replace=False).tolist():
        flipped = bytearray(data)
        flipped[at] ^= int(rng.choice([1, 2, 32, 128, 255]))
        (tmp_path / name).write_bytes(bytes(flipped))
        verdict = judge_file(path)
        assert not verdict.accepted and verdict.exit_code in (1, 2) and "\n" not in verdict.sentence, at
    (tmp_path / name).write_bytes(data)
    text = path.read_text()
    assert text.count('"fp32"') == 1
    path.write_text(text.replace('"fp32"', '"bf16"'))
    assert not judge_file(path).accepted


# ------------------------------------------------------------------------------------------------ attacks


def arrays_of(given: Made, text: str) -> Arrays | None:
    """The prover's arrays; None when it proves nothing."""
    outcome = prove(*given, Semantics.parse(text))
    return outcome.certificate.arrays if outcome.verdict == "proved" and outcome.certificate else None


def certificate(given: Made, text: str, arrays: Arrays) -> Certificate:
    model, task, n = given
    claim = Claim(task.name, task.parameters(), n, "correct", text)
    return Certificate("relu", claim, PROVED, task.source_sha256(), {}, arrays, model.reference())


def accepted(given: Made, text: str, arrays: Arrays, engine: arb.Engine = "fast") -> bool:
    """With every hash recomputed."""
    return judge(certificate(given, text, arrays), given[0].arch, given[0].tensors, engine=engine).accepted


def shifted(given: Made, margin: float) -> Made:
    """The read-out's bias moved until the least real margin over all inputs is this."""
    model, task, n = given
    for _ in range(3):
        least, tokens, query = worst(model, task, n)
        label = int(task.answer(tokens[None])[0, list(task.queries(n)).index(query)])
        bias = model.tensors["readout.bias"].astype(np.float64).copy()
        bias[label] -= least - margin
        model = Model(model.arch, dict(model.tensors) | {"readout.bias": bias})
    return model, task, n


def errs(given: Made, text: str, rng: np.random.Generator, count: int = 6) -> bool:
    """Whether some simulated evaluation gives a wrong answer, or ties."""
    model, task, n = given
    tokens, queries = all_inputs(task, n), list(task.queries(n))
    labels = task.answer(tokens)
    for machine, join in ways(text, rng, count):
        for at, query in enumerate(queries):
            logits = simulate(model, tokens, query, machine, join)  # pyright: ignore[reportArgumentType]
            if (margins(logits, labels[:, at]) <= 0).any():
                return True
    return False


def test_nothing_that_an_evaluation_refutes_is_accepted() -> None:
    """Margins of about the size of rounding, in 6 bits and more, under the arrays of the real claim and its own."""
    seen, rng = Counter[str](), np.random.default_rng(7)
    for seed in range(0, 24, 2):
        base = plain(seed)
        size = float(np.abs(base[0].tensors["readout.bias"]).max()) + 1.0
        for bits, share in itertools.product((6, 8, 10, 16, 24), (0.1, 2.0, 3e3, 2e4)):
            text = f"float:{bits}" + ",tree" * int(rng.integers(2))
            given = shifted(base, share * size * 2.0**-bits)
            real, own = arrays_of(given, "real"), arrays_of(given, text)
            taken = [accepted(given, text, arrays) for arrays in (real, own) if arrays is not None]
            if any(taken):
                seen["accepted"] += 1
                assert own is not None and (seed % 4 or accepted(given, text, own, "arb"))
            if errs(given, text, rng):
                assert not any(taken), (seed, text, share)
                seen["false"] += 1
                if real is not None and not seed % 10:
                    assert not accepted(given, text, real, "arb")
        if seen["false"] >= 104 and seen["accepted"] >= 20:
            break
    assert seen["false"] >= 100 and seen["accepted"] >= 20, seen


def test_clear_claims_are_accepted() -> None:
    """Real margins from 0.01 on, in fp32; no evaluation shows one of them false."""
    seen, rng = Counter[str](), np.random.default_rng(8)
    for seed in range(0, 26, 2):
        for margin in np.geomspace(0.01, 0.5, 9):
            given = shifted(plain(seed), float(margin))
            if worst(*given)[0] > margin / 2:
                assert not errs(given, "fp32", rng, 1)
                arrays = arrays_of(given, "fp32")
                seen["true"] += 1
                seen["accepted"] += arrays is not None and accepted(given, "fp32", arrays)
    assert seen["true"] >= 100 and seen["accepted"] >= 0.9 * seen["true"], seen


@pytest.mark.parametrize("text", ["float:10", "fp32", "fp16,tree"])
def test_engines_take_about_the_same(text: str) -> None:
    """What float64 takes from a margin is never less than what Arb takes, but for underflow, nor much more."""
    compared = 0
    for seed in range(6):
        model, task, n = made(seed)
        try:
            bench = ReluBench(model, task, n, Semantics.parse(text))
        except SeparatrixError:
            continue
        claim = Claim(task.name, task.parameters(), n, "correct", text)
        case = Case(task, n, claim, Semantics.parse(text), {}, {}, model.arch, model.tensors)
        for piece in itertools.islice(bench.pieces(), 2):
            scene, tau = Scene.of(bench.net, piece.group, bench.domain), guess(bench.view(piece))
            ranges = Ranges.of(scene, tau)
            assert scene.loss is not None
            fast = scene.loss.taken(scene.labels, units(scene, ranges.features, ranges.s)[1])
            with precision(128):
                slow = ArbScene.of(ArbNet.of(case), case, piece.group)
                for cell, label in enumerate(scene.labels.tolist()):
                    view = View.of(slow, cell, tau[cell])
                    for rival in range(fast.shape[1]):
                        if rival != label:
                            mine, other = fast[cell, rival], float(view.taken(rival).mid())
                            assert other * (1 - 2.0**-30) <= mine <= 2.0 * other, (seed, mine, other)
                            compared += 1
    assert compared >= 30


def test_a_claim_in_another_format_is_another_claim() -> None:
    given = plain(0)
    good = arrays_of(given, "fp32")
    assert good is not None and accepted(given, "fp32", good) and accepted(given, "real", good)
    for text in ("float:4", "float:6", "bits:8.4", "float:99", "fp32,tree,tree"):
        for engine in ("fast", "arb"):
            assert not accepted(given, text, good, engine)


def test_norms_and_overflow_are_refused_in_float_formats() -> None:
    for norm in ("first", "middle", "last", "all"):
        given = anyhow(2, 1, norm)
        outcome = prove(given.model, given.task, given.n, Semantics.parse("fp32"))
        assert outcome.verdict == "unknown" and "without layer norms" in outcome.sentence
    model, task, n = plain(0)
    good = arrays_of((model, task, n), "fp16")
    for name in ("layers.1.in", "layers.1.out"):
        t = dict(model.tensors)
        t[name] = t[name] * 0.0 + 3e4
        outcome = prove(Model(model.arch, t), task, n, Semantics.parse("fp16"))
        assert outcome.verdict != "proved"
        if good is not None:
            assert not accepted((Model(model.arch, t), task, n), "fp16", good)


def test_a_trained_model_certifies_in_floats_and_has_a_least_precision() -> None:
    task, n = IndexLookup(2), 3
    model = train(task, n, one_layer(task, n, 8, mlp=8), seed=0, steps=150, learning_rate=1e-2).model
    assert isinstance(model.arch.layers[0], Attention)
    outcome = certify(model, task, n, Semantics.parse("fp32"))
    assert outcome.verdict == "proved" and "fp32" in outcome.sentence and outcome.certificate is not None
    assert judge(outcome.certificate, model.arch, model.tensors, engine="arb").accepted
    bits, least = least_precision(model, task, n)
    assert bits is not None and 8 <= bits < 24 and least.verdict == "proved"
    wrong = Model(model.arch, random_tensors(model.transformer, np.random.default_rng(0)))
    assert certify(wrong, task, n, Semantics.parse("fp32"), method="relu").verdict == "refuted"
