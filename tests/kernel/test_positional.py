"""The positional kind: what it accepts, what it refuses, and that a false claim never passes."""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from separatrix.can.programs import library
from separatrix.can.programs.direct import compile_direct
from separatrix.can.programs.expression import maximum, minimum, own, received
from separatrix.can.programs.program import Lane, Program, Round
from separatrix.core.certificate import Certificate, Claim
from separatrix.core.guarantee import PROVED
from separatrix.core.positional import Positional
from separatrix.core.task import Task
from separatrix.kernel import judge, judge_file
from separatrix.kernel.relu_form import exact, relu_forms
from separatrix.models.evaluate import evaluate
from separatrix.models.model import Model
from separatrix.tasks import make_task
from separatrix.verify.provers import certify

PROGRAMS = {
    "prefix-sums": library.prefix_sums,
    "prefix-minima": library.prefix_minima,
    "prefix-maxima": library.prefix_maxima,
    "sorting": library.sort,
    "maximum-subarray": library.maximum_subarray,
    "prefix-medians": library.prefix_medians,  # 2^N inputs: kept short
    "total": library.total,
    "least": library.least,
    "greatest": library.greatest,
}


def certificate(model: Model, task: Task, n: int) -> Certificate:
    claim = Claim(task.name, task.parameters(), n, "correct", "real")
    return Certificate("positional", claim, PROVED, task.source_sha256(), {}, {}, model.reference())


def verdict(model: Model, task: Task, n: int):
    return judge(certificate(model, task, n), model.arch, model.tensors)


def real_task(name: str, **parameters: float) -> Task:
    return make_task(name, dict(parameters))


def worst(model: Model, task: Task, n: int, rng: np.random.Generator) -> float:
    """The largest error on corners, 0-1 inputs and samples."""
    reals = task.domain(n).reals
    assert reals is not None
    scale = reals.high
    x = rng.uniform(-scale, scale, (400, n))
    x[:120] = scale * rng.choice([-1.0, 0.0, 1.0], (120, n))
    x[120:200] = np.sort(x[120:200], axis=1)[:, ::-1]
    tokens = np.zeros(x.shape, dtype=np.int64)
    with np.errstate(all="ignore"):
        error = np.abs(evaluate(model, tokens, x[:, :, None])[:, :, 0] - task.answer(tokens, x[:, :, None])[:, :, 0])
    return float(np.where(np.isnan(error), np.inf, error).max())


# ------------------------------------------------------------------------------------------------ what it accepts


@pytest.mark.parametrize("name", PROGRAMS)
@pytest.mark.parametrize("n", [1, 2, 3, 7, 16])
def test_compiled_programs_are_proved(name: str, n: int) -> None:
    n = min(n, 8) if name == "prefix-medians" else n
    outcome = certify(compile_direct(PROGRAMS[name](n)), real_task(name), n, method="positional")
    assert outcome.verdict == "proved", outcome.sentence


@pytest.mark.slow
@pytest.mark.parametrize(("name", "n"), [("prefix-sums", 1024), ("sorting", 128), ("prefix-medians", 16)])
def test_greatest_sizes(name: str, n: int) -> None:
    assert verdict(compile_direct(PROGRAMS[name](n)), real_task(name), n).accepted


def test_a_median_of_the_wrong_prefix_or_rank_is_rejected() -> None:
    """The lower of the middle two, twice; and the median of all numbers for every position."""
    n, task = 4, real_task("prefix-medians")
    program = library.prefix_medians(n)
    lower = dataclasses.replace(program, outputs=(0.5 * own(n - 1) + 0.5 * own(n - 2),))
    assert certify(compile_direct(program), task, n, method="positional").verdict == "proved"
    assert certify(compile_direct(lower), task, n, method="positional").verdict == "refuted"
    single = dataclasses.replace(program, outputs=(own(n),))
    model = compile_direct(single)
    assert not verdict(model, task, n).accepted and "mean of two" in verdict(model, task, n).sentence
    late = compile_direct(library.sort(n))
    assert not verdict(late, task, n).accepted


@pytest.mark.parametrize(("name", "n"), [("prefix-sums", 256), ("sorting", 64), ("maximum-subarray", 32)])
def test_sizes(name: str, n: int) -> None:
    assert verdict(compile_direct(PROGRAMS[name](n)), real_task(name), n).accepted


def test_the_box_and_the_tolerance_are_part_of_the_claim() -> None:
    model, cases = compile_direct(library.sort(8), 40.0), ((2.0, 1e-3), (2.0, 1e-9), (1e6, 1e-3))
    errors = [verdict(model, real_task("sorting", scale=scale, eps=eps), 8) for scale, eps in cases]
    assert [v.accepted for v in errors] == [True, False, False]
    assert "not within" in errors[1].sentence


def test_the_stated_error_is_an_upper_bound() -> None:
    rng = np.random.default_rng(0)
    for beta in (8.0, 12.0, 20.0):
        for name in PROGRAMS:
            if name == "prefix-medians" and beta < 20:  # its many lanes make the bound meaningless
                continue
            model, task = compile_direct(PROGRAMS[name](6), beta), real_task(name, eps=9e5)
            said = verdict(model, task, 6)
            assert said.accepted
            bound = float(said.sentence.split("error at most ")[1].split(",")[0])
            assert worst(model, task, 6, rng) <= bound


# ------------------------------------------------------------------------------------------------ normal forms


def test_normal_forms_decide_equality() -> None:
    """relu(a - b) + b and relu(b - a) + a are max(a, b); a dead unit and a doubled one change nothing."""
    one, f = Fraction(1), Fraction
    a, b = (f(0), one, f(0)), (f(0), f(0), one)
    minus = lambda u: tuple(-v for v in u)  # noqa: E731
    gap, back = (f(0), one, f(-1)), (f(0), f(-1), one)
    first = relu_forms([gap, b, minus(b)], [[one], [one], [-one]], [f(0)])
    other = relu_forms([back, a, minus(a), gap], [[one], [one], [-one], [f(0)]], [f(0)])
    double = relu_forms([tuple(2 * v for v in gap), b, minus(b)], [[one / 2], [one], [-one]], [f(0)])
    assert first == other == double
    assert first[0].branches() is not None and set(first[0].branches() or []) == {a, b}
    assert relu_forms([gap], [[one]], [f(0)]) != relu_forms([back], [[one]], [f(0)])
    constant = relu_forms([(f(3), f(0), f(0)), (f(-3), f(0), f(0))], [[one], [one]], [one])
    assert constant[0].linear == (f(4), f(0), f(0)) and not constant[0].kinks


def test_normal_forms_equal_the_net_on_samples() -> None:
    rng = np.random.default_rng(0)
    for _ in range(50):
        inner, outer = rng.integers(-2, 3, (4, 5)).astype(float), rng.integers(-2, 3, (5, 2)).astype(float)
        forms = relu_forms(
            [tuple(c) for c in zip(*exact(inner), strict=True)], exact(outer), [Fraction(1), Fraction(0)]
        )
        u = np.c_[np.ones(40), rng.normal(size=(40, 3))]
        net = np.maximum(u @ inner, 0.0) @ outer + [1.0, 0.0]
        for o, form in enumerate(forms):
            value = u @ np.array(form.linear, dtype=float)
            for line, weight in form.kinks:
                value += float(weight) * np.abs(u @ np.array(line, dtype=float))
            assert np.abs(value - net[:, o]).max() < 1e-12


# ------------------------------------------------------------------------------------------------ what it refuses


def test_wrong_programs_are_refuted_by_an_input() -> None:
    wrong = {
        "sorting": library.prefix_minima(5),
        "prefix-minima": library.prefix_maxima(5),
        "prefix-maxima": library.least(5),
        "prefix-sums": library.total(5),
        "maximum-subarray": library.prefix_maxima(5),
    }
    for name, program in wrong.items():
        model, task = compile_direct(program), real_task(name)
        assert not verdict(model, task, 5).accepted
        outcome = certify(model, task, 5, method="positional")
        assert outcome.verdict == "refuted" and outcome.certificate is not None
        assert judge(outcome.certificate, model.arch, model.tensors).accepted


def test_an_almost_sorting_network_is_rejected() -> None:
    """Batcher's network without one comparator errs on few inputs, which samples rarely meet."""
    rng, missed = np.random.default_rng(0), 0
    program = library.sort(16)
    for number, step in enumerate(program.rounds):
        assert isinstance(step, Round)
        pairs = [(i, j) for i, j in enumerate(step.lanes[0].sources) if i < j]
        low, high = pairs[len(pairs) // 2]
        first, second = list(step.lanes[0].sources), list(step.lanes[1].sources)
        first[low], first[high], second[high] = low, high, high
        lanes = (Lane(0, tuple(first)), Lane(0, tuple(second)))
        rounds = (*program.rounds[:number], Round(lanes, step.update), *program.rounds[number + 1 :])
        model, task = compile_direct(dataclasses.replace(program, rounds=rounds)), real_task("sorting")
        assert not verdict(model, task, 16).accepted
        missed += worst(model, task, 16, rng) <= task.eps
    assert missed <= 2


def test_unknown_rather_than_wrong() -> None:
    task = real_task("prefix-sums")
    for program, why in (
        (Program("deep", 3, 1, 1, (Round((), (maximum(maximum(own(0), 2.0 * own(0)), 3.0 * own(0)),)),)), "one hidden"),
        (Program("mixed", 3, 1, 1, (Round((Lane(0, (0, 0, 0)),), (minimum(own(0), received(0)),)),)), "minimum where"),
        (Program("third", 3, 1, 1, (Round((), (1 / 3 * own(0),)),)), "multiple of 2"),
    ):
        assert why in verdict(compile_direct(program), task, 3).sentence
    assert "two words" in verdict(compile_direct(library.prefix_sums(3)), real_task("prefix-medians"), 3).sentence
    model = compile_direct(library.prefix_sums(3))
    assert not verdict(model, task, 4).accepted
    assert isinstance(model.arch, Positional)
    arch = dataclasses.replace(
        model.arch, layers=tuple(dataclasses.replace(s, scale=np.inf) for s in model.arch.layers)
    )
    assert not judge(certificate(model, task, 3), arch, model.tensors).accepted


@pytest.mark.parametrize("kind", ["separable", "heads", "exhaustive", "contract", "counterexample", "pointer-sets"])
def test_other_kinds_refuse_positional_models(kind: str) -> None:
    model, task = compile_direct(library.prefix_sums(3)), real_task("prefix-sums")
    statement = "incorrect" if kind == "counterexample" else "correct"
    claim = Claim(task.name, task.parameters(), 3, statement, "real")
    evidence = {"counterexample": {"tokens": [0, 0, 0], "query": 0}, "contract": {"factor": "x"}}.get(kind, {})
    mine = Certificate(kind, claim, PROVED, task.source_sha256(), evidence, {}, model.reference())
    assert not judge(mine, model.arch, model.tensors).accepted


def test_counterexamples_must_be_real() -> None:
    model, task = compile_direct(library.prefix_minima(3)), real_task("prefix-sums")
    right = {"reals": [(1.0).hex(), (1.0).hex(), (1.0).hex()], "query": 2}

    def judged(evidence: dict[str, object]) -> bool:
        claim = Claim(task.name, task.parameters(), 3, "incorrect", "real")
        kind = "positional-counterexample"
        mine = Certificate(kind, claim, PROVED, task.source_sha256(), evidence, {}, model.reference())
        return judge(mine, model.arch, model.tensors).accepted

    assert judged(right)
    ones = [(1.0).hex()] * 3
    for evidence in (
        {"reals": ones, "query": 0},  # right there
        {"reals": ones, "query": 3},
        {"reals": ones[:2], "query": 1},
        {"reals": [(3.0).hex(), *ones[1:]], "query": 2},  # outside the box
        {"reals": ["nan", *ones[1:]], "query": 2},
        {"reals": [1, *ones[1:]], "query": 2},
        {"reals": [(0.0).hex()] * 3, "query": 2},
    ):
        assert not judged(evidence)


# ------------------------------------------------------------------------------------------------ accidents


@pytest.mark.parametrize("name", ["right.cert.json", "model.safetensors", "config.json"])
def test_a_changed_byte_is_noticed(tmp_path: Path, name: str) -> None:
    model, task = compile_direct(library.sort(3)), real_task("sorting")
    model.save(tmp_path)
    path = certificate(model, task, 3).write(tmp_path, "right")
    assert judge_file(path).accepted
    data, rng = (tmp_path / name).read_bytes(), np.random.default_rng(0)
    for at in sorted(rng.choice(len(data), min(len(data), 600), replace=False).tolist()):
        flipped = bytearray(data)
        flipped[at] ^= int(rng.choice([1, 2, 32, 128, 255]))
        (tmp_path / name).write_bytes(bytes(flipped))
        assert not judge_file(path).accepted, at
    (tmp_path / name).write_bytes(data)
    assert judge_file(path).accepted


# ------------------------------------------------------------------------------------------------ attacks


def mutants(name: str, n: int, rng: np.random.Generator) -> Iterator[tuple[str, Model]]:
    """Changes of one compiled program."""
    return changes(compile_direct(PROGRAMS[name](n)), rng)


def changes(base: Model, rng: np.random.Generator) -> Iterator[tuple[str, Model]]:
    """Changes of a model that keep it right (`same`), and changes that may break it (`other`)."""
    arch, t = base.arch, dict(base.tensors)
    assert isinstance(arch, Positional)
    for _ in range(12):  # hidden units in another order and scale, by powers of two
        new = dict(t)
        for i, layer in enumerate(arch.layers):
            order, factor = rng.permutation(layer.hidden[0]), 2.0 ** rng.integers(-3, 4, layer.hidden[0])
            for part, change in (("0.weight", lambda w, o=order, f=factor: w[:, o] * f),
                                 ("0.bias", lambda w, o=order, f=factor: w[o] * f),
                                 ("1.weight", lambda w, o=order, f=factor: w[o] / f[:, None])):  # fmt: skip
                new[f"layers.{i}.mlp.{part}"] = change(t[f"layers.{i}.mlp.{part}"])
        yield "same", Model(arch, new)
    for _ in range(8):  # sharper or softer attention, other scores at rest
        new = dict(t)
        for i in range(len(arch.layers)):
            key = t[f"layers.{i}.key"]
            new[f"layers.{i}.key"] = key * rng.uniform(0.7, 1.6) + rng.normal(size=(1, 1, key.shape[2])) * 3
        yield "same", Model(arch, new)
    yield "same", Model(arch, {k: v.astype(np.float32) for k, v in t.items()})
    names = [k for k in sorted(t) if t[k].size]
    for _ in range(70):
        which = str(rng.choice(names))
        tensor = t[which].astype(np.float64).copy()
        spot = tuple(int(rng.integers(s)) for s in tensor.shape)
        match int(rng.integers(5)):
            case 0:
                tensor[spot] += float(rng.choice([-1, 1])) * 10.0 ** rng.uniform(-4, 2)
            case 1:
                tensor[spot] = 0.0
            case 2:
                tensor = -tensor
            case 3:
                tensor = np.roll(tensor, 1, axis=int(rng.integers(tensor.ndim)))
            case _:
                tensor = tensor * float(rng.choice([0.1, 0.5, 2.0, 1e300]))
        yield "other", Model(arch, t | {which: tensor})


def test_no_false_claim_is_accepted_and_true_ones_are() -> None:
    seen: Counter[str] = Counter()
    for number, name in enumerate(PROGRAMS):
        for n in (2, 3) if name == "prefix-medians" else (2, 4):
            rng, task = np.random.default_rng((number, n)), real_task(name)
            for origin, model in mutants(name, n, rng):
                accepted = verdict(model, task, n).accepted
                if worst(model, task, n, rng) > task.eps:
                    assert not accepted, (name, n)
                    seen["false"] += 1
                elif origin == "same":
                    seen["true, accepted" if accepted else "true, refused"] += 1
    assert seen["false"] >= 300
    assert seen["true, accepted"] >= 100
    assert seen["true, refused"] <= 0.1 * seen["true, accepted"]
