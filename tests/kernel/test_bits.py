"""Quantised models in the kernel: its evaluation against the emulator, verdicts against enumeration, both suites."""

from __future__ import annotations

import dataclasses
import decimal
import itertools
import math
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from separatrix.core.arch import Arch, Attention, FeedForward, Linear, Readout, Table
from separatrix.core.certificate import Certificate, Claim
from separatrix.core.domain import Constraint, Sequence
from separatrix.core.errors import InputError, SeparatrixError, UnknownError
from separatrix.core.semantics import Semantics
from separatrix.core.shapes import tensor_shapes
from separatrix.core.task import Task
from separatrix.depth.model import quantised, tokens_of
from separatrix.depth.specimens import equality_by_codes, lookup_by_codes
from separatrix.kernel import Verdict, judge
from separatrix.kernel.bits import evaluate, nearest, shift_down, words
from separatrix.kernel.judge import KINDS, judge_file
from separatrix.models.model import Model
from separatrix.models.quantised import run
from separatrix.numbers.integers import dyadic, exponentials, integer_net, scaled_sum, shifted
from separatrix.tasks.equality import Equality
from separatrix.tasks.index_lookup import IndexLookup
from separatrix.tasks.majority import Majority
from separatrix.tasks.match2 import Match2
from separatrix.tasks.sparse_averaging import SparseAveraging

GOOD = "bits:5.2,weights:2,scores:4.0,exp:8"


def random_model(rng: np.random.Generator, vocabulary: int = 3, positions: int = 4, outputs: int = 2) -> Model:
    """Up to three layers with heads, masks, residuals, a blank; weights of the size of a unit."""
    layers: list[Attention | FeedForward] = []
    for _ in range(rng.integers(1, 4)):
        residual = bool(rng.integers(2))
        if rng.random() < 0.6:
            mask: Any = ("causal", "none")[rng.integers(2)]
            scale = float(rng.choice([1.0, 0.3, -2.0]))
            layers.append(Attention(int(rng.integers(1, 3)), 2, 2, mask=mask, scale=scale, residual=residual))
        else:
            layers.append(FeedForward(3, residual=residual))
    arch = Arch(3, Table(vocabulary, positions * int(rng.integers(2))), tuple(layers), Readout(outputs),
                blank=bool(rng.integers(2)))  # fmt: skip
    return Model(arch, {name: rng.standard_normal(shape) for name, shape in tensor_shapes(arch).items()})


def submit(model: Model, task: Task, n: int, kind: str, semantics: str = GOOD, **evidence: object) -> Verdict:
    return judge(made(model, task, n, kind, semantics, **evidence), model.arch, model.tensors)


def made(model: Model, task: Task, n: int, kind: str, semantics: str = GOOD, **evidence: object) -> Certificate:
    rules = KINDS[kind]
    claim = Claim(task.name, task.parameters(), n, rules.statement, semantics)  # pyright: ignore
    return Certificate(kind, claim, rules.worth, task.source_sha256(), evidence, {}, model.reference(), rules.trusted)


def by_hand(model: Model, task: Task, n: int, semantics: str) -> tuple[bool, list[int]]:
    """Whether every answer is right by the emulator, and a worst input."""
    spec = Semantics.parse(semantics).bits
    assert spec is not None
    domain = task.domain(n)
    network = quantised(model.arch, model.tensors, domain.positions, task.queries(n), spec)
    tokens = np.array(list(itertools.product(*(np.asarray(a).tolist() for a in domain.alphabets))))
    logits, labels = run(network, tokens_of(network, tokens)), task.answer(tokens)
    right = np.take_along_axis(logits, labels[:, :, None], axis=2)
    wrong = ((logits >= right) & (np.arange(logits.shape[2]) != labels[:, :, None])).any(axis=(1, 2))
    return not wrong.any(), tokens[int(wrong.argmax())].tolist()


@pytest.mark.parametrize("semantics", ["bits:6.3", "bits:8.4,weights:5,scores:7.2,exp:12", "bits:4.1,scores:3.0,exp:3",
                                       "bits:12.6,weights:7,scores:9.3,exp:9"])  # fmt: skip
def test_the_kernel_and_the_emulator_agree_bit_for_bit(semantics: str) -> None:
    rng, spec = np.random.default_rng(0), Semantics.parse(semantics).bits
    assert spec is not None
    for _ in range(40):
        model = random_model(rng)
        tokens, queries = rng.integers(0, 3, (30, 4)), (1, 3)
        net = integer_net(model.arch, model.tensors, 4, spec)
        network = quantised(model.arch, model.tensors, 4, queries, spec)
        expected = run(network, tokens_of(network, tokens))
        found = evaluate(net, tokens, np.array(queries))
        assert np.array_equal(found, expected) and np.abs(expected).max() > 0


def test_quantised_models_come_near_the_real_ones() -> None:
    from separatrix.models.evaluate import evaluate as real

    rng, spec = np.random.default_rng(1), Semantics.parse("bits:12.8,weights:12,scores:12.9,exp:20").bits
    assert spec is not None
    close = 0
    for _ in range(30):
        model = random_model(rng)
        model = Model(model.arch, {name: array / 2 for name, array in model.tensors.items()})
        tokens = rng.integers(0, 3, (20, 4))
        try:
            net = integer_net(model.arch, model.tensors, 4, spec)
        except UnknownError:
            continue
        exact = real(model, tokens)
        found = evaluate(net, tokens, np.arange(4)) / 2.0 ** (spec.fraction + spec.weights)
        close += np.abs(found - exact).max() < 0.05
    assert close >= 24  # the others leave the range of the numbers or of the scores


def test_roundings_are_to_nearest_even_and_exact() -> None:
    rng = np.random.default_rng(0)
    top, under = rng.integers(-(10**6), 10**6, 5000), rng.integers(1, 50, 5000)
    expected = [round(Fraction(int(a), int(b))) for a, b in zip(top, under, strict=True)]
    assert nearest(top.astype(float), under).tolist() == expected
    for bits in (0, 1, 7):
        assert shift_down(top.astype(float), bits).tolist() == [round(Fraction(int(a), 2**bits)) for a in top]
    values = rng.standard_normal(200) * 10.0 ** rng.integers(-300, 15, 200)
    whole, e = dyadic(values)
    assert all(Fraction(int(m), 2**e) == Fraction(float(v)) for m, v in zip(whole, values, strict=True))
    halves = np.array([0.5, 1.5, 2.5, -0.5, -1.5, 0.0, 5e-324, -(2.0**-1074)])
    assert scaled_sum([halves], 0).tolist() == [0, 2, 2, 0, -2, 0, 0, 0]
    three = round((Fraction(0.1) + Fraction(0.2)) * 2**50)
    assert scaled_sum([np.array([0.1]), np.array([0.2])], 50).tolist() == [three]
    assert shifted(np.array([5, -5, 6, 7], dtype=object), 1).tolist() == [2, -2, 3, 4]
    with pytest.raises(UnknownError, match=r"2\^53"):
        scaled_sum([np.array([1e300])], 4)


def test_the_exponential_table() -> None:
    spec = Semantics.parse("bits:6.3,scores:5.1,exp:14").bits
    assert spec is not None
    table = exponentials(spec)
    assert table[-1] == 2**14 and len(table) == 32 and table.min() == 1
    assert table.tolist() == [max(1, round(2**14 * math.exp((c - 15) / 2))) for c in range(-16, 16)]
    with decimal.localcontext() as context:
        context.prec = 3  # a caller's context does not change it
        assert np.array_equal(exponentials(spec), table)


def test_semantics_are_read_and_refused() -> None:
    spec = Semantics.parse("bits:8.4").bits
    assert spec is not None and (spec.weights, spec.score_bits, spec.score_fraction, spec.exp_bits) == (4, 6, 1, 10)
    assert Semantics.parse("bits:8.4").spec is None and Semantics.parse("real").bits is None
    wrong = "bits: | bits:8 | bits:13.2 | bits:1.0 | bits:8.4, | bits:8.4,exp:31 | bits:8.4,weights:-1 | bits:8.4,tree"
    wrong += " | bits:8.4,scores:6 | bits:8.4,exp:10,weights:2 | bits:8.9999 | bits:8.4 "
    for text in wrong.split(" | "):
        with pytest.raises(InputError):
            Semantics.parse(text)


def test_verdicts_agree_with_enumeration_by_the_emulator() -> None:
    rng, seen = np.random.default_rng(3), {True: 0, False: 0}
    for trial in range(120):
        task: Task = (Match2(2), Majority())[trial % 2]
        n = (2, 3)[trial % 2]
        model = random_model(rng, task.domain(n).vocabulary, task.domain(n).positions)
        if trial % 3 == 0 and isinstance(task, Match2):  # the constant answer of Match2 with one class of inputs
            model = Model(model.arch, dict(model.tensors) | {"readout.bias": np.array([0.0, 9.0])})
        semantics = "bits:6.2,weights:4"
        right, worst = by_hand(model, task, n, semantics)
        assert submit(model, task, n, "bits-exhaustive", semantics).accepted == right
        query = int(task.queries(n)[0])
        labels_wrong = submit(model, task, n, "bits-counterexample", semantics, tokens=worst, query=query).accepted
        assert not (right and labels_wrong)
        seen[right] += 1
    assert seen[False] >= 30
    for n in (2, 3, 4):
        assert submit(lookup_by_codes(IndexLookup(2), n), IndexLookup(2), n, "bits-exhaustive").accepted
    assert submit(equality_by_codes(Equality(), 8), Equality(), 8, "bits-exhaustive").accepted


def test_kinds_and_semantics_go_together() -> None:
    """A real-number kind never speaks of a quantised model, nor the other way round."""
    task, n = IndexLookup(2), 3
    model = lookup_by_codes(task, n)
    for kind in ("bits-exhaustive", "bits-counterexample", "bits-solver"):
        for semantics in ("real", "fp32", "float:20"):
            verdict = submit(model, task, n, kind, semantics)
            assert not verdict.accepted and "bits" in verdict.sentence
    for kind in ("separable", "heads", "exhaustive", "contract"):
        verdict = submit(model, task, n, kind, GOOD)
        assert not verdict.accepted and "bits" in verdict.sentence
    bad = submit(model, task, n, "counterexample", GOOD, tokens=[0, 0, 0, 2], query=3)
    assert not bad.accepted and "bits" in bad.sentence


def test_the_solver_kind_is_checked_and_names_its_weak_links(tmp_path: Path) -> None:
    task, n = IndexLookup(2), 6
    model = lookup_by_codes(task, n)
    certificate = made(model, task, n, "bits-solver", solver="exact", questions=6, seed=0)
    verdict = judge(certificate, model.arch, model.tensors)
    assert verdict.accepted and str(verdict.guarantee) == "checked" and "solver" in verdict.trusted[-1]
    for guarantee in ("proved", "conjectured"):
        from separatrix.core.guarantee import Guarantee

        promoted = dataclasses.replace(certificate, guarantee=Guarantee.parse(guarantee))
        assert not judge(promoted, model.arch, model.tensors).accepted
    fewer = dataclasses.replace(certificate, trusted=("kernel", "core", "the task's file"))
    assert not judge(fewer, model.arch, model.tensors).accepted
    for evidence in ({"solver": "z3", "questions": 6, "seed": 0}, {"solver": "exact", "questions": 0, "seed": 0},
                     {"solver": "exact", "questions": 6}, {"solver": "exact", "questions": 6, "seed": -1}):  # fmt: skip
        assert not submit(model, task, n, "bits-solver", **evidence).accepted
    flipped = Model(model.arch, dict(model.tensors) | {"readout.weight": -model.tensors["readout.weight"]})
    assert submit(flipped, task, n, "bits-solver", solver="exact", questions=6, seed=0).exit_code == 1
    model.save(tmp_path)
    path = certificate.write(tmp_path, "checked")
    again = judge_file(path)
    assert again.accepted and str(again.guarantee) == "checked"
    assert judge_file(path, engine="arb").accepted


def test_what_does_not_fit_is_undecided_or_refused() -> None:
    model = lookup_by_codes(IndexLookup(2), 26)
    assert submit(model, IndexLookup(2), 26, "bits-exhaustive").exit_code == 3  # 2^31 inputs
    assert submit(model, SparseAveraging(1), 3, "bits-exhaustive").exit_code != 0
    assert submit(lookup_by_codes(IndexLookup(2), 3), IndexLookup(4), 3, "bits-exhaustive").exit_code == 1
    assert submit(lookup_by_codes(IndexLookup(2), 3), IndexLookup(2), 5, "bits-exhaustive").exit_code != 0
    rng, spec = np.random.default_rng(0), Semantics.parse("bits:12.8,weights:20,exp:30").bits
    assert spec is not None
    with pytest.raises(UnknownError, match=r"2\^53"):
        integer_net(random_model(rng).arch, random_model(np.random.default_rng(0)).tensors, 4, spec)
    arch = Arch(2, Linear(1, 3), (Attention(1, 1, 1),), Readout(2))
    with pytest.raises(UnknownError):
        integer_net(arch, {}, 3, spec)
    right = lookup_by_codes(IndexLookup(2), 3)
    good = Semantics.parse(GOOD).bits
    assert good is not None and integer_net(right.arch, right.tensors, 4, good)
    strange: list[Any] = [
        {"weights": "average-hard"},
        {"mask": "strict"},
        {"norm": "layer"},
        {"kind": "linear-attention"},
    ]
    for change in strange:  # values that later versions may know: refused, never ignored
        layer = dataclasses.replace(right.arch.layers[0], **change)
        with pytest.raises(UnknownError, match="none other"):
            integer_net(dataclasses.replace(right.arch, layers=(layer,)), right.tensors, 4, good)
    for change in ({"activation": "gelu"}, {"norm": "layer"}):
        layer = dataclasses.replace(FeedForward(3), **change)  # pyright: ignore
        with pytest.raises(UnknownError, match="none other"):
            integer_net(dataclasses.replace(right.arch, layers=(layer,)), right.tensors, 4, good)


@dataclasses.dataclass(frozen=True)
class Silent(Match2):
    """A task that scores no position: nothing must not be everything."""

    name = "silent"

    def queries(self, n: int) -> tuple[int, ...]:
        return ()

    def answer(self, tokens: np.ndarray, reals: np.ndarray | None = None) -> np.ndarray:
        return super().answer(tokens)[:, :0]


def test_an_empty_enumeration_proves_nothing_and_constraints_are_kept() -> None:
    from separatrix.core.semantics import Semantics as Parsed
    from separatrix.kernel.bits import check_exhaustive, check_solver
    from separatrix.kernel.case import Case

    model = random_model(np.random.default_rng(0), 2, 2)
    claim = Claim("silent", Silent(2).parameters(), 2, "correct")
    for check, evidence in ((check_exhaustive, {}), (check_solver, {"solver": "exact", "questions": 1, "seed": 0})):
        with pytest.raises((SeparatrixError, ValueError)):
            check(Case(Silent(2), 2, claim, Parsed.parse(GOOD), evidence, {}, model.arch, model.tensors))
    one = Constraint("count", symbol=1, count=1)
    found = np.concatenate(list(words(Sequence((np.arange(2),) * 4, 2, one), 3)))
    assert len(found) == 4 and (found.sum(axis=1) == 1).all()
    every = np.concatenate(list(words(Sequence((np.arange(2), np.array([5, 7]), np.arange(3)), 8), 5)))
    assert len(np.unique(every, axis=0)) == 12


# ---- mutation suites ------------------------------------------------------------------------------------------------


def test_accidents_are_all_rejected(tmp_path: Path) -> None:
    """Any byte of a certificate or model changed, hashes untouched."""
    task, n = IndexLookup(2), 3
    model = lookup_by_codes(task, n)
    model.save(tmp_path)
    good = made(model, task, n, "bits-exhaustive").write(tmp_path, "right")
    assert judge_file(good).accepted
    rng = np.random.default_rng(0)
    for name in ("right.cert.json", "model.safetensors", "config.json"):
        data = (tmp_path / name).read_bytes()
        for _ in range(40):
            at, flip = int(rng.integers(len(data))), 1 << int(rng.integers(8))
            (tmp_path / name).write_bytes(data[:at] + bytes([data[at] ^ flip]) + data[at + 1 :])
            assert not judge_file(good).accepted
        (tmp_path / name).write_bytes(data)
    assert judge_file(good).accepted


@pytest.mark.parametrize("kind", ["bits-exhaustive", "bits-solver"])
def test_attacks_are_accepted_exactly_when_the_claim_is_true(kind: str) -> None:
    """Weights, semantics, task and N changed with all hashes recomputed; truth by the emulator's enumeration.

    A solver's word is not re-derived, but a false one about so few inputs does not survive the fresh sample.
    """
    rng = np.random.default_rng(0 if kind == "bits-exhaustive" else 1)
    evidence = {} if kind == "bits-exhaustive" else {"solver": "exact", "questions": 6, "seed": 0}
    accepted = {True: 0, False: 0}
    total = {True: 0, False: 0}
    while min(total.values()) < 100:
        n = int(rng.integers(2, 6))
        task: Task = IndexLookup(2)
        model = lookup_by_codes(task, n)
        tensors = {name: array.copy() for name, array in model.tensors.items()}
        name = str(rng.choice(sorted(tensors)))
        spot = tuple(int(rng.integers(s)) for s in tensors[name].shape)
        wild = rng.random() < 0.6
        tensors[name][spot] = rng.normal() * 4 if wild else tensors[name][spot] * (1 + rng.normal() / 64)
        fraction, exp = (int(rng.integers(0, 3)), int(rng.integers(0, 4))) if wild else (2, 8)
        semantics = f"bits:5.{fraction},weights:2,scores:4.0,exp:{exp}" if rng.random() < 0.5 else GOOD
        mutant = Model(model.arch, tensors)
        truth, _ = by_hand(mutant, task, n, semantics)
        if total[truth] >= 140:
            continue
        total[truth] += 1
        accepted[truth] += submit(mutant, task, n, kind, semantics, **evidence).accepted
    assert accepted[False] == 0 and accepted[True] >= 0.9 * total[True], (accepted, total)


def test_attacks_on_counterexamples() -> None:
    rng, total, accepted = np.random.default_rng(1), {True: 0, False: 0}, {True: 0, False: 0}
    while min(total.values()) < 100:
        task, n = IndexLookup(2), 4
        model = lookup_by_codes(task, n)
        noise = {name: array + rng.normal(size=array.shape) * 0.6 for name, array in model.tensors.items()}
        mutant = Model(model.arch, noise)
        spec = Semantics.parse(GOOD).bits
        assert spec is not None
        network = quantised(mutant.arch, mutant.tensors, n + 1, (n,), spec)
        tokens, _ = task.sample(n, 6, rng)
        logits, labels = run(network, tokens_of(network, tokens))[:, 0], task.answer(tokens)[:, 0]
        for row, logit, label in zip(tokens, logits, labels, strict=True):
            truth = bool(logit[1 - label] >= logit[label])
            if total[truth] < 140:
                total[truth] += 1
                said = submit(mutant, task, n, "bits-counterexample", GOOD, tokens=row.tolist(), query=n)
                accepted[truth] += said.accepted
    assert accepted[False] == 0 and accepted[True] == total[True]
    for tokens, query in (([0, 0, 0, 0], 4), ([0, 0, 0, 9, 2], 4), ([0, 0, 0, 0, 2], 3), ([0, 0, 0, 0, True], 4),
                          ([0.0, 0, 0, 0, 2], 4), ([], 4)):  # fmt: skip
        flipped = lookup_by_codes(IndexLookup(2), 4)
        flipped = Model(flipped.arch, dict(flipped.tensors) | {"readout.weight": -flipped.tensors["readout.weight"]})
        assert not submit(flipped, IndexLookup(2), 4, "bits-counterexample", GOOD, tokens=tokens, query=query).accepted
