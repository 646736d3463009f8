"""The arb engine against the float64 engine, enumeration and 300-bit evaluation: it decides more, never otherwise."""

from __future__ import annotations

import dataclasses
from collections import Counter

import numpy as np
import pytest
from flint import ctx

from core.heads import Instance, instance, lookup, match, whole_numbers
from core.reference import accepts, all_inputs, arb_logits, arb_right, head, label_of, precision, random_tensors, worst
from separatrix.core.arch import Arch, Attention, FeedForward, Linear, Readout, Table
from separatrix.core.certificate import Certificate, Claim
from separatrix.core.domain import CellGroup, Constraint, Labels, Sequence
from separatrix.core.errors import RejectedError, SeparatrixError, UnknownError
from separatrix.core.guarantee import PROVED
from separatrix.core.semantics import REAL, Semantics
from separatrix.core.task import Task
from separatrix.kernel import Verdict, judge, separable
from separatrix.kernel.arb import NAME, derive, second_opinion
from separatrix.kernel.arb_cells import check_separable, is_small
from separatrix.kernel.case import Case
from separatrix.kernel.judge import TRUSTED, WITH_ARB
from separatrix.models.model import Model
from separatrix.tasks.index_lookup import IndexLookup
from separatrix.tasks.match2 import Match2
from separatrix.verify.provers import certify


def case_of(model: Model, task: Task, n: int, semantics: Semantics = REAL) -> Case:
    claim = Claim(task.name, task.parameters(), n, "correct", semantics.text)
    return Case(task, n, claim, semantics, {}, {}, model.arch, model.tensors)


def verdict(made: Instance) -> str:
    """accepted, rejected or unknown, by arb; the working precision is as before."""
    before = ctx.prec
    try:
        check_separable(case_of(made.model, made.task, made.n))
    except RejectedError:
        return "rejected"
    except UnknownError:
        return "unknown"
    finally:
        assert ctx.prec == before
    return "accepted"


def right_everywhere(made: Instance) -> bool:
    """By evaluation of every input with 300 bits; undecided counts as wrong."""
    return all(
        arb_right(made.model, made.task, made.n, row, query)
        for row in all_inputs(made.task, made.n)
        for query in made.task.queries(made.n)
    )


def test_both_engines_agree_on_random_heads() -> None:
    seen: Counter[tuple[str, bool]] = Counter()
    for seed in range(480):
        made = instance(seed)
        fast, slow = accepts(made.model, made.task, made.n), verdict(made)
        assert slow != "unknown"
        if fast != (slow == "accepted"):  # only a margin that float64 cannot see may part them
            assert slow == "accepted" and right_everywhere(made)
        seen[made.family, fast] += 1
    assert sum(seen.values()) >= 300 and min(seen.values()) >= 15, seen


@pytest.mark.parametrize("sign", [-1, 0, 1])
def test_ties_that_float64_cannot_break(sign: int) -> None:
    """Uniform attention on integers with a tie somewhere, broken by 2^-80 in one bias: right, wrong, or still tied."""
    seen: Counter[bool] = Counter()
    for seed in range(450):
        made = whole_numbers(seed)
        if abs(worst(made.model, made.task, made.n)[0]) > 1e-9:
            continue
        bias = made.model.tensors["readout.bias"].astype(np.float64)
        for label in np.flatnonzero(bias == 0):
            moved = bias.copy()
            moved[label] = sign * 2.0**-80
            other = dataclasses.replace(
                made, model=Model(made.model.arch, dict(made.model.tensors) | {"readout.bias": moved})
            )
            truth = right_everywhere(other)
            assert verdict(other) == ("accepted" if truth else "rejected")
            if accepts(other.model, other.task, other.n):  # next to exact zeros 2^-80 is not lost
                assert truth
                continue
            case = case_of(other.model, other.task, other.n)
            assert (second_opinion("separable", case) is not None) == truth
            seen[truth] += 1
    assert seen[False] >= 20 and seen[True] >= sign, seen


def near_tie(seed: int) -> Instance | None:
    """A right head whose worst margin is taken off one bias, as nearly as float64 holds it: about 1e-17 is left."""
    rng = np.random.default_rng((seed, 9))
    made = match(rng, 0.0, 3.0) if seed % 2 else lookup(rng, 0.0, 2.0)
    margin, tokens, query = worst(made.model, made.task, made.n)
    if margin < 1e-3 or made.n > 4:
        return None
    label = label_of(made.task, made.n, tokens, query)
    logits = arb_logits(made.model, tokens, query)
    with precision():
        exact = min(float((logits[label] - other).mid()) for c, other in enumerate(logits) if c != label)
    bias = made.model.tensors["readout.bias"].astype(np.float64)
    bias[label] -= exact
    return dataclasses.replace(made, model=Model(made.model.arch, dict(made.model.tensors) | {"readout.bias": bias}))


def test_margins_of_one_unit_in_the_last_place() -> None:
    """Softmax weights that are not rational: arb finds the sign of what is left, float64 balls cannot."""
    seen: Counter[str] = Counter()
    for seed in range(240):
        made = near_tie(seed)
        if made is None:
            continue
        slow = verdict(made)
        if slow != "unknown":
            assert (slow == "accepted") == right_everywhere(made)
        if accepts(made.model, made.task, made.n):
            assert slow == "accepted"
            slow = "accepted by both"
        seen[slow] += 1
    assert seen["accepted"] >= 5 and seen["rejected"] >= 5, seen


def submit(
    model: Model, task: Task, n: int, kind: str = "separable", engine: str = "arb", semantics: str = "real", **evidence
) -> Verdict:
    claim = Claim(task.name, task.parameters(), n, "incorrect" if "count" in kind else "correct", semantics)
    certificate = Certificate(
        kind, claim, PROVED, task.source_sha256(), evidence, model=model.reference(), trusted=WITH_ARB
    )
    return judge(certificate, model.arch, model.tensors, engine=engine)  # pyright: ignore[reportArgumentType]


def test_the_judge_falls_back_on_arb_and_says_so() -> None:
    fallen = 0
    for seed in range(240):
        made = near_tie(seed)
        if made is None or accepts(made.model, made.task, made.n):
            continue
        fast, slow = (submit(made.model, made.task, made.n, engine=engine) for engine in ("fast", "arb"))
        assert fast.accepted == slow.accepted
        if fast.accepted:
            assert fast.trusted[-1] == slow.trusted[-1] == NAME
            outcome = certify(made.model, made.task, made.n, method="separable")  # names what it needs, and only then
            assert outcome.certificate is not None and outcome.certificate.trusted == WITH_ARB
            silent = dataclasses.replace(outcome.certificate, trusted=TRUSTED)
            unnamed = judge(silent, made.model.arch, made.model.tensors)
            assert not unnamed.accepted and unnamed.exit_code == 1
            fallen += 1
        else:
            assert "least weighted margin" in fast.sentence and fast.exit_code == 1
    assert fallen >= 5


def test_the_fast_engine_needs_no_arb_where_it_accepts() -> None:
    made = lookup(np.random.default_rng(3), 0.0, 9.0)
    fast = submit(made.model, made.task, made.n, engine="fast")
    assert fast.accepted and NAME not in fast.trusted
    assert submit(made.model, made.task, made.n).trusted[-1] == NAME


def test_certificates_that_need_no_arb_do_not_name_it() -> None:
    made = lookup(np.random.default_rng(3), 0.0, 9.0)
    outcome = certify(made.model, made.task, made.n, method="separable")
    assert outcome.certificate is not None and outcome.certificate.trusted == TRUSTED


def test_a_second_opinion_is_about_small_real_separable_claims() -> None:
    from separatrix.can.witnesses.index_lookup_quadratic import build

    small, large = IndexLookup(2), IndexLookup(64)
    case = case_of(build(small, 3), small, 3)
    assert is_small(case) and second_opinion("separable", case)
    assert second_opinion("exhaustive", case) is None
    assert second_opinion("separable", dataclasses.replace(case, semantics=Semantics.parse("fp32"))) is None
    assert not is_small(case_of(build(large, 64), large, 64))

    def rejects(_: Case) -> str:
        raise RejectedError("not proved")

    assert derive("fast", "separable", rejects, case, named=True) == (check_separable(case), True)
    with pytest.raises(RejectedError, match="not proved"):
        derive("fast", "separable", rejects, case)
    with pytest.raises(RejectedError, match="not proved"):
        derive("fast", "separable", rejects, case_of(build(large, 64), large, 64), named=True)
    with pytest.raises(RejectedError, match="not proved"):
        derive("fast", "exhaustive", rejects, case)


def arch_of(rng: np.random.Generator) -> Arch:
    """Up to three layers, heads, causal masks, residuals, a blank."""
    layers: list[Attention | FeedForward] = []
    for _ in range(rng.integers(1, 4)):
        residual = bool(rng.integers(2))
        if rng.random() < 0.7:
            mask, heads = ("causal", "none")[rng.integers(2)], int(rng.integers(1, 3))
            layers.append(Attention(heads, 2, 2, mask=mask, scale=0.7, residual=residual))  # pyright: ignore
        else:
            layers.append(FeedForward(3, residual=residual))
    return Arch(3, Table(2, int(rng.choice([0, 2]))), tuple(layers), Readout(2), blank=bool(rng.integers(2)))


def test_enumeration_agrees_on_deep_models() -> None:
    rng, seen, task = np.random.default_rng(4), Counter[bool](), Match2(2)
    for _ in range(120):
        arch = arch_of(rng)
        tensors = random_tensors(arch, rng)
        tensors["readout.bias"] = tensors["readout.bias"] + np.array([0.0, float(rng.choice([0.0, 3.0]))])
        model, n = Model(arch, tensors), 2 if arch.first.positions else int(rng.integers(1, 3))  # pyright: ignore
        fast, slow = (submit(model, task, n, "exhaustive", engine) for engine in ("fast", "arb"))
        assert (fast.accepted, fast.exit_code) == (slow.accepted, slow.exit_code)
        seen[slow.accepted] += 1
        for tokens in all_inputs(task, n):
            evidence = {"tokens": tokens.tolist(), "query": 0}
            errs = [submit(model, task, n, "counterexample", engine, **evidence) for engine in ("fast", "arb")]
            assert errs[0].accepted == errs[1].accepted == (not arb_right(model, task, n, tokens, 0))
            assert errs[1].exit_code == 1 - errs[1].accepted
    assert min(seen[True], seen[False]) >= 10, seen


def test_an_exact_tie_is_a_counterexample_and_an_irrational_one_is_undecided() -> None:
    arch = head(2, 0, 2, 2, table=False)
    zero = Model(arch, {name: np.zeros_like(t) for name, t in random_tensors(arch, np.random.default_rng(0)).items()})
    assert submit(zero, Match2(2), 2, "counterexample", tokens=[1, 0], query=0).accepted
    assert submit(zero, Match2(2), 2).exit_code == 1
    tensors = random_tensors(arch, np.random.default_rng(1))
    tensors["readout.weight"] = np.stack([tensors["readout.weight"][:, 0]] * 2, axis=1)
    tensors["readout.bias"] = np.zeros(2)
    tied = Model(arch, tensors)
    assert submit(tied, Match2(2), 2, "exhaustive").exit_code == 3
    assert submit(tied, Match2(2), 2, "counterexample", tokens=[1, 0], query=0).exit_code == 3


def test_inputs_that_are_not_the_tasks_are_no_counterexamples() -> None:
    arch = head(2, 0, 2, 2, table=False)
    model = Model(arch, random_tensors(arch, np.random.default_rng(0)))
    for tokens, query in (([1, 2], 0), ([1], 0), ([1, 0], 2), ([1, -1], 0), ([1, 1.0], 0), ([1, True], 0)):
        assert not submit(model, Match2(2), 2, "counterexample", tokens=tokens, query=query).accepted


def test_what_arb_does_not_decide_is_unknown_or_refused() -> None:
    made = lookup(np.random.default_rng(3), 0.0, 9.0)
    assert submit(made.model, made.task, made.n, engine="slow").exit_code == 2
    assert submit(made.model, made.task, made.n, "pointer-sets").exit_code == 2
    two = dataclasses.replace(made.model.arch, layers=(Attention(2, 1, 1),))
    causal = dataclasses.replace(made.model.arch, layers=(Attention(1, 1, 1, mask="causal"),))
    for arch in (two, causal):
        model = Model(arch, random_tensors(arch, np.random.default_rng(0)))
        assert submit(model, made.task, made.n).exit_code == 3
    linear = Arch(2, Linear(1, 3), (Attention(1, 1, 1),), Readout(2))
    model = Model(linear, random_tensors(linear, np.random.default_rng(0)))
    assert submit(model, Match2(2), 2).exit_code == submit(model, Match2(2), 2, "exhaustive").exit_code == 3
    many = head(2, 0, 2, 2, table=False)
    model = Model(many, random_tensors(many, np.random.default_rng(0)))
    assert submit(model, Match2(2), 20, "exhaustive").exit_code == 3
    assert submit(model, Match2(3), 2).exit_code == submit(model, Match2(3), 2, "exhaustive").exit_code == 1


@dataclasses.dataclass(frozen=True)
class Fake(Task):
    """Index lookup with n = 2 whose cells are replaced."""

    cells_of: tuple[CellGroup, ...] | None = ()
    scored: tuple[int, ...] = (2,)
    many: int = 2

    name = "fake-arb"
    gloss = source = "these tests"

    def domain(self, n: int) -> Sequence:
        return IndexLookup(2).domain(2)

    def outputs(self) -> Labels:
        return Labels(self.many)

    def queries(self, n: int) -> tuple[int, ...]:
        return self.scored

    def answer(self, tokens: np.ndarray, reals: np.ndarray | None = None) -> np.ndarray:
        return IndexLookup(2).answer(tokens)

    def cells(self, n: int, query: int):
        return None if self.cells_of is None else iter(self.cells_of)

    def sample(self, n: int, size: int, rng: np.random.Generator, distribution: str = "uniform"):
        return IndexLookup(2).sample(2, size, rng)

    def show(self, tokens: np.ndarray, reals: np.ndarray | None = None) -> str:
        return str(tokens)


def group(**changes: object) -> CellGroup:
    """The first group of index lookup, changed."""
    first = next(iter(IndexLookup(2).cells(2, 2)))
    return dataclasses.replace(first, **changes)  # pyright: ignore[reportArgumentType]


@pytest.mark.parametrize(
    ("task", "error"),
    [
        (Fake(()), RejectedError),
        (Fake(None), UnknownError),
        (Fake((), scored=()), RejectedError),
        (Fake((group(),), many=3), RejectedError),
        (Fake((group(query=1),)), RejectedError),
        (Fake((group(constraint=Constraint("count")),)), UnknownError),
        (Fake((group(token=(1,)),)), RejectedError),
        (Fake((group(token=-1),)), RejectedError),
        (Fake((group(token=4),)), RejectedError),
        (Fake((group(labels=None),)), RejectedError),
        (Fake((group(labels=np.array([0])),)), RejectedError),
        (Fake((group(labels=np.array([0, -1])),)), RejectedError),
        (Fake((group(labels=np.array([0, 2])),)), RejectedError),
        (Fake((group(positions=np.array([[2], [2]])),)), RejectedError),
        (Fake((group(positions=np.array([[-1], [0]])),)), RejectedError),
        (Fake((group(positions=np.array([[0, 0]] * 2), symbols=np.array([[0, 0], [1, 1]])),)), RejectedError),
        (Fake((group(symbols=np.array([[7], [7]])),)), RejectedError),
        (Fake((group(background=(np.array([9]),) * 3),)), RejectedError),
        (Fake((group(background=(np.array([0]),) * 2),)), RejectedError),
        (Fake((group(background=(np.zeros(0, dtype=np.int64),) * 3),)), RejectedError),
    ],
)
def test_malformed_cells_are_refused(task: Task, error: type[Exception]) -> None:
    from separatrix.can.witnesses.index_lookup_quadratic import build

    model = build(IndexLookup(2), 2)
    check_separable(case_of(model, Fake((group(),)), 2))
    with pytest.raises(error):
        check_separable(case_of(model, task, 2))


@pytest.mark.parametrize("size", [1e300, 1e200, 1e-310, 5e-324, 1e155, -1e308])
def test_weights_at_the_edge_of_floats(size: float) -> None:
    """Each tensor in turn is scaled away: never accepted where 300 bits find an input that is wrong."""
    base = lookup(np.random.default_rng(3), 0.0, 9.0)
    for name, tensor in base.model.tensors.items():
        with np.errstate(all="ignore"):
            scaled = tensor.astype(np.float64) * size
        if np.isfinite(scaled).all():
            made = dataclasses.replace(base, model=Model(base.model.arch, dict(base.model.tensors) | {name: scaled}))
            if verdict(made) == "accepted":
                inputs = [(row, query) for row in all_inputs(made.task, made.n) for query in made.task.queries(made.n)]
                assert all(arb_right(made.model, made.task, made.n, *given) is not False for given in inputs)


def test_the_fast_checker_is_not_consulted() -> None:
    """`--engine arb` on a model that the float64 engine accepts and one that it rejects: the same verdicts alone."""
    for seed in (3, 4, 5, 6):
        made = lookup(np.random.default_rng(seed), 0.0, 9.0)

        def never(_: Case) -> str:
            raise AssertionError

        case = case_of(made.model, made.task, made.n)
        try:
            separable.check_case(case)
        except SeparatrixError:
            with pytest.raises(SeparatrixError):
                derive("arb", "separable", never, case)
        else:
            assert derive("arb", "separable", never, case)[1]
