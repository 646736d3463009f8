"""Routing by packed words: what the positional kind accepts of it and what it refuses."""

from __future__ import annotations

import dataclasses
import itertools
from fractions import Fraction

import numpy as np
import pytest

from kernel.test_positional import certificate, verdict
from kernel.test_real_outputs import built as sums
from separatrix.can import registry
from separatrix.can.programs import library
from separatrix.can.programs.direct import compile_direct
from separatrix.can.programs.expression import minimum, own, relu
from separatrix.can.programs.program import Lane, Program, Round
from separatrix.can.programs.sortnet import compile_packed, compile_sortnet, packed_route
from separatrix.cannot.engine.matrix import Matrix
from separatrix.core.arch import Arch
from separatrix.core.certificate import Certificate, Claim
from separatrix.core.closed_form import ClosedForm, OrderStatistic
from separatrix.core.domain import Reals, Sequence
from separatrix.core.errors import UnknownError
from separatrix.core.guarantee import PROVED
from separatrix.core.positional import Positional
from separatrix.core.semantics import REAL
from separatrix.kernel import communication, comparators, judge, positional
from separatrix.kernel.case import Case
from separatrix.kernel.judge import KINDS
from separatrix.kernel.real_outputs import Reader
from separatrix.models.evaluate import evaluate
from separatrix.models.model import Model
from separatrix.tasks.prefix_sums import PrefixSums
from separatrix.tasks.routing import Routing
from separatrix.tasks.sorting import Sorting
from separatrix.verify.provers import certify

TASK, SPAN = Routing(), 4.0
WITNESS = registry.get("routing-sortnet")


def packed(
    n: int,
    d: float = SPAN,
    b: float = 1.0,
    c: float = 1.0,
    off: float | None = None,
    program: Program | None = None,
    sharp: float = 256.0,
) -> Model:
    """Words d p + b x and c p of destination p and payload x; the read-out takes `off` times the second off the first.

    Right for d >= |b| SPAN, c > 0 and off = d / (b c), its default.
    """
    program = program or packed_route(n, 2.0)[0]
    outputs = (1 / b * own(0) - (d / (b * c) if off is None else off) * own(1),)
    first = np.array([[d, c], [b, 0.0]])
    return compile_direct(dataclasses.replace(program, outputs=outputs), sharp, first)


def without(program: Program, number: int, pair: int, words: tuple[int, ...] = (0, 1)) -> Program:
    """The program without one exchange of one stage, for these words."""
    step = program.rounds[number]
    assert isinstance(step, Round)
    low, high = [(i, j) for i, j in enumerate(step.lanes[0].sources) if i < j][pair]
    lanes = list(step.lanes)
    for w in words:
        first, second = list(lanes[2 * w].sources), list(lanes[2 * w + 1].sources)
        first[low], first[high], second[high] = low, high, high
        lanes[2 * w], lanes[2 * w + 1] = Lane(w, tuple(first)), Lane(w, tuple(second))
    rounds = (*program.rounds[:number], Round(tuple(lanes), step.update), *program.rounds[number + 1 :])
    return dataclasses.replace(program, rounds=rounds)


def exchanges(program: Program) -> list[tuple[int, int]]:
    """(stage, pair) of every exchange."""
    pairs = [[i for i, j in enumerate(step.lanes[0].sources) if i < j] for step in program.rounds]  # type: ignore
    return [(number, k) for number, found in enumerate(pairs) for k in range(len(found))]


def inputs(n: int, scale: float, rng: np.random.Generator) -> np.ndarray:
    """All destinations with all corners of the payloads, and with random ones."""
    corners = np.array(list(itertools.product([-scale, scale], repeat=n)))
    payloads = np.concatenate([corners, rng.uniform(-scale, scale, (8, n))])
    rows = [np.stack([np.broadcast_to(to, payloads.shape), payloads], 2) for to in itertools.permutations(range(n))]
    return np.concatenate(rows).astype(float)


def worst(model: Model, task: Routing, n: int, rng: np.random.Generator) -> float:
    """The largest error on these."""
    x = inputs(n, task.scale, rng)
    none = np.zeros(x.shape[:2], dtype=np.int64)
    with np.errstate(all="ignore"):
        error = np.abs(evaluate(model, none, x) - task.answer(none, x))
    return float(np.where(np.isnan(error), np.inf, error).max())


# ------------------------------------------------------------------------------------------------ what it accepts


@pytest.mark.parametrize("n", [1, 2, 3, 5, 8, 16, 33, 64])
def test_the_witness_is_proved(n: int) -> None:
    task = Routing(scale=[2.0, 0.3, 1e6][n % 3], eps=1e-6)
    model, size = WITNESS.build(task, n), WITNESS.size(task, n)
    assert model.size(n, size.precision) == size
    said = verdict(model, task, n)
    assert said.accepted and "for all destinations and all real payloads" in said.sentence


@pytest.mark.slow
def test_greatest_size() -> None:
    assert verdict(WITNESS.build(TASK, 128), TASK, 128).accepted


@pytest.mark.parametrize("n", [2, 5, 16])
def test_both_engines_agree(n: int) -> None:
    model = WITNESS.build(TASK, n)
    assert judge(certificate(model, TASK, n), model.arch, model.tensors, engine="arb").accepted
    blunt = packed(n, sharp=12.0)
    said = [judge(certificate(blunt, TASK, n), blunt.arch, blunt.tensors, engine=e) for e in ("fast", "arb")]
    assert not any(v.accepted for v in said) and all("not within" in v.sentence for v in said)


def test_a_factor_that_equals_the_span_is_enough_and_less_is_not() -> None:
    """At the span words of neighbouring destinations may tie, and equal words may stand in either order."""
    rng = np.random.default_rng(0)
    for task in (TASK, Routing(scale=1.7), Routing(scale=0.1)):
        span = 2 * task.scale  # exact
        for d, fine in (
            (span, True),
            (1.5 * span, True),
            (float(np.nextafter(span, 0.0)), False),
            (span - 1e-3, False),
        ):
            model = packed(3, d)
            assert verdict(model, task, 3).accepted == fine
            assert worst(model, task, 3, rng) <= task.eps or not fine
        assert worst(packed(3, span - 1e-3), task, 3, rng) > task.eps


def test_any_exact_packing_is_proved() -> None:
    for d, b, c in ((4.0, -1.0, 1.0), (4.1, 1.0, 0.5), (17.3, 2.0, 8.0), (1.0, 0.25, 1.0), (2.0**40, 1.0, 1.0)):
        assert verdict(packed(5, d, b, c), TASK, 5).accepted, (d, b, c)


def test_the_stated_error_is_an_upper_bound() -> None:
    rng = np.random.default_rng(0)
    for sharp in (8.0, 12.0, 20.0):
        model, task = packed(4, sharp=sharp), Routing(eps=9e8)
        said = verdict(model, task, 4)
        assert said.accepted
        assert 0 < worst(model, task, 4, rng) <= float(said.sentence.split("error at most ")[1].split(",")[0])


# ------------------------------------------------------------------------------------------------ what it refuses


@pytest.mark.parametrize("words", [(0, 1), (0,), (1,)])
def test_a_network_without_an_exchange_is_refuted(words: tuple[int, ...]) -> None:
    """In both words, or in one of the two, which are then sorted by different networks."""
    for n in (3, 4, 8):
        program = packed_route(n, 2.0)[0]
        for number, pair in exchanges(program):
            outcome = certify(packed(n, program=without(program, number, pair, words)), TASK, n, method="positional")
            assert outcome.verdict == "refuted", (n, number, pair)


def test_what_the_check_does_not_know_is_refused() -> None:
    n = 3
    right = packed(n)
    for given, why in (
        (packed(n, d=2.0**41), "up to 2^40"),
        (packed(n, d=-4.0), "more than payloads can differ"),
        (packed(n, c=-1.0), "more than payloads can differ"),
        (packed(n, off=4.5), "would not be the payload"),
        (packed(n, d=3.0, b=3.0, off=1.0), "more than payloads can differ"),
        (packed(n, d=12.0, b=3.0), "would not be the payload"),  # 1/3 is no float
        (changed(right, "embed.bias", 0, 1e-12), "must copy its input"),
        (changed(right, "readout.bias", 0, 1e-12), "would not be the payload"),
        (Model(right.arch, {**right.tensors, "embed.linear": np.zeros((2, 4))}), "drops its input"),
        (changed(right, "embed.linear", (1, 1), 0.3), "more than payloads can differ"),
        (changed(right, "readout.weight", (2, 0), 1.0), "does not depend on all inputs"),
        (compile_direct(compile_packed(library.route(n), 2.0)), "more than payloads can differ"),
        (compile_direct(compile_sortnet(library.route(n), 2.0)), "one hidden layer"),
    ):
        said = verdict(given, TASK, n)
        assert not said.accepted and why in said.sentence, said.sentence
    program = packed_route(n, 2.0)[0]
    other, across = "minimum or maximum", minimum(own(0), own(1))  # of a packed word and a destination
    for update, why in (
        ((own(0) + own(1), own(1)), other),
        ((own(0) + 1.0, own(1)), other),
        ((2.0 * own(0), 2.0 * own(1)), other),
        ((relu(own(0) - 1.0), own(1)), "adds constants"),
        ((across, own(1)), "different kinds"),
        ((own(1), own(0)), "would not be the payload"),
    ):
        extra = dataclasses.replace(program, rounds=(Round((), update), *program.rounds))
        said = verdict(packed(n, program=extra), TASK, n)
        assert not said.accepted and why in said.sentence, said.sentence


def changed(model: Model, name: str, spot: object, by: float) -> Model:
    """One entry of a tensor moved."""
    tensor = np.array(model.tensors[name])
    tensor[spot] += by  # type: ignore[index]
    return Model(model.arch, {**model.tensors, name: tensor})


def test_each_claim_is_about_its_own_inputs() -> None:
    """A sorting network does not route, a router does not sort; a wider box is another claim; lengths must fit."""
    sort, route = registry.get("sorting-program").build(Sorting(), 3), packed(3)
    assert not verdict(sort, TASK, 3).accepted and not verdict(route, Sorting(), 3).accepted
    assert "2 real words" in verdict(sort, TASK, 3).sentence
    assert not verdict(route, Routing(scale=2.1), 3).accepted and verdict(route, Routing(scale=1.0), 3).accepted
    assert not verdict(route, TASK, 4).accepted and not verdict(route, TASK, 2).accepted


def test_routed_inputs_are_taken_with_their_own_closed_form_alone() -> None:
    """Routed inputs with an order statistic asked for, or numbers of a box with deliveries, are unknown."""

    class Ranks(Routing):
        def closed_form(self, n: int, query: int) -> ClosedForm:  # type: ignore[override]
            return OrderStatistic(query)

    class Boxed(Routing):
        def domain(self, n: int) -> Sequence:
            return dataclasses.replace(super().domain(n), reals=Reals("box", 1, -2.0, 2.0))

    class Pairs(Routing):
        def domain(self, n: int) -> Sequence:
            return dataclasses.replace(super().domain(n), reals=Reals("box", 2, -2.0, 2.0))

    for task, model in (
        (Ranks(), packed(3)),
        (Pairs(), packed(3)),
        (Boxed(), registry.get("sorting-program").build(Sorting(), 3)),
    ):
        case = Case(task, 3, claimed("correct", 3), REAL, {}, {}, model.arch, model.tensors)
        with pytest.raises(UnknownError):
            positional.check_case(case)


def claimed(statement: str, n: int, task: Routing = TASK) -> Claim:
    return Claim(task.name, task.parameters(), n, statement, "real")  # type: ignore[arg-type]


def test_words_of_different_kinds_do_not_make_up_one_order() -> None:
    """Half of the nodes' packed words and half of the destinations are no order statistic of either."""
    arch = Positional(3, 1, 2, 2, 3, packed(2).arch.layers, 1)  # type: ignore[union-attr]
    given = [[Fraction(0)] * 2, [Fraction(4), Fraction(1)], [Fraction(1), Fraction(0)]]
    state = comparators.start(arch, given, (2,), Fraction(4))
    assert [part.kind for part in state.components] == [0, 0, 1, 1]
    assert state.kinds == ((1, 0), (4, 1)) and state.largest(2.0) == 4 * 3 + 2
    with pytest.raises(UnknownError, match="different kinds"):
        comparators._advance([state.components[0], state.components[3]], 1, (), {})


@pytest.mark.parametrize("kind", ["separable", "heads", "exhaustive", "real-outputs", "real-counterexample", "senders",
                                  "communication", "decoding", "coordinates", "automaton", "boxes"])  # fmt: skip
def test_other_kinds_refuse_routed_inputs(kind: str) -> None:
    model, statement = packed(3), KINDS[kind].statement
    evidence = {"real-counterexample": {"corner": [[0, 0]] * 3, "query": 0}}.get(kind, {})
    if statement == "needs":
        claim = Claim(TASK.name, TASK.parameters(), 3, statement, "real", "rnn", "state", (1.0).hex())
        mine = Certificate(
            kind, claim, KINDS[kind].worth, TASK.source_sha256(), {"cut": 1}, {}, None, KINDS[kind].trusted
        )
        assert not judge(mine).accepted
    else:
        mine = Certificate(kind, claimed(statement, 3), PROVED, TASK.source_sha256(), evidence, {}, model.reference())
        assert not judge(mine, model.arch, model.tensors).accepted


def test_readers_of_balls_and_boxes_do_not_take_routed_inputs_for_either() -> None:
    class Sums(PrefixSums):
        def domain(self, n: int) -> Sequence:
            return dataclasses.replace(super().domain(n), reals=Reals("routed", 2, -1.0, 1.0))

    model = sums(PrefixSums(dim=2), 3, 60.0)
    assert isinstance(model.arch, Arch)
    Reader.of(PrefixSums(dim=2), 3, model.arch, model.tensors)
    with pytest.raises(UnknownError, match="ball or in a box"):
        Reader.of(Sums(dim=2), 3, model.arch, model.tensors)
    words = {"prefix_reals": np.array([[[0.0, 0.5]]])}
    for reals, fine in ((Reals("box", 2), True), (Reals("ball", 2), True), (Reals("routed", 2), False)):
        case = Case(TASK, 3, claimed("correct", 3), REAL, {}, words, model.arch, {})
        if fine:
            assert communication._reals(case, reals, "prefix_reals", 1, 1) is words["prefix_reals"]
        else:
            with pytest.raises(UnknownError, match="ball or in a box"):
                communication._reals(case, reals, "prefix_reals", 1, 1)
    with pytest.raises(UnknownError, match="destinations"):
        Matrix.of(TASK, 3, 2)
