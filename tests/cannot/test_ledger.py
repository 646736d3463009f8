"""The theorems: numbers computed by hand or printed in papers, the direction of every inequality, what is vacuous."""

import math

import pytest

from separatrix.cannot import bounds_for, registry
from separatrix.core.errors import InputError, UnknownError
from separatrix.core.size import Precision, Size
from separatrix.kernel import judge
from separatrix.tasks import make_task


def bits(name: str, n: int, **parameters: object) -> float:
    bound = registry.get(name)
    return bound.bits(make_task(bound.task, parameters), n)


def test_every_entry_is_complete() -> None:
    for name, bound in registry.items():
        assert name == bound.name
        assert bound.measure in ("state", "message", "width", "exchange", "one-way", "embedding")
        assert bound.source and bound.expression and bound.merge
        assert bound in bounds_for(bound.task, bound.arch)
        foreign = make_task("match2" if bound.task != "match2" else "index-lookup")
        with pytest.raises(InputError):
            bound.bits(foreign, 8)
    assert bounds_for("index-lookup", "transformer") == []  # two parties exchange an index in log N bits


@pytest.mark.parametrize(("symbols", "last"), [(2, 8192), (64, 1365)])
def test_128_numbers_of_64_bits(symbols: int, last: int) -> None:
    """Bhattamishra et al. 2024: 8192 bits of state hold 8192 binary symbols, or 1365 of 64, and not one more."""
    bound = registry.get("index-lookup-recurrent")
    for precision in (Precision(64, "stored"), Precision.parse("fp64")):
        size = Size(state_numbers=128, precision=precision)
        assert not bound.violated(size, bits(bound.name, last, symbols=symbols))
        assert bound.violated(size, bits(bound.name, last + 1, symbols=symbols))
    assert not bound.violated(Size(state_numbers=1), 1e9) and not bound.violated(Size(), 1e9)


def test_a_float_is_more_than_its_significand() -> None:
    size = Size(state_numbers=1, precision=Precision.parse("fp32"))
    bound = registry.get("index-lookup-recurrent")
    assert not bound.violated(size, 32.0) and bound.violated(size, 32.5)


def test_formulas_reach_large_n() -> None:
    assert bits("index-lookup-recurrent", 10**8) == 6e8
    assert bits("match2-recurrent", 10**8, modulus=97) == 96
    assert bits("sparse-averaging-recurrent", 10**8) == 10**8 - 1
    assert bits("sparse-averaging-one-layer", 10**8) == pytest.approx(math.log2(math.comb(10**8 - 1, 4)))
    for _, bound in registry.items():
        with pytest.raises((UnknownError, InputError)):  # or longer than the task's inputs are
            bound.certificate(make_task(bound.task), 10**8)


def test_alphabets_that_are_no_power_of_two_round_down() -> None:
    claim = bits("index-lookup-recurrent", 1000, symbols=3)
    assert claim < 1000 * math.log2(3) < claim * (1 + 1e-11)


@pytest.mark.parametrize(("p", "q", "least"), [(8, 64, 8), (16, 256, 16), (32, 1000, 32)])
def test_disjointness_prints(p: int, q: int, least: int) -> None:
    """m + d' + 1 >= q / p (Sanford et al. 2023, Theorem 4 with its constant, one head)."""
    n = 2 * q + 1
    amount = bits("sparse-averaging-disjointness", n, q=q, eps=0.5 / q)
    assert math.ceil(amount / p) == least
    assert bits("sparse-averaging-disjointness", n - 1, q=q, eps=0.5 / q) == 0
    bound = registry.get("sparse-averaging-disjointness")
    # without a residual path m + d_v + 1 counts; `violated` leaves room for one: m + 2 d_v + 1
    for m, short in ((least - 4, True), (least - 3, False)):
        size = Size(layers=1, heads=1, key_width=m, value_width=1, precision=Precision(p, "fixed"))
        assert bound.violated(size, amount) is short


@pytest.mark.parametrize(
    ("n", "q", "p", "amount", "least"),
    [(1024, 64, 8, 341.0, 43), (1024, 256, 16, 825.2, 52), (10**6, 1000, 32, 11401.4, 357)],
)
def test_counting_prints(n: int, q: int, p: int, amount: float, least: int) -> None:
    value = bits("sparse-averaging-one-layer", n, q=q, eps=0.5 / q)
    assert value == pytest.approx(amount, abs=0.06) and math.ceil(value / p) == least


def test_message_bounds_rule_out_nothing_open_or_deep() -> None:
    bound = registry.get("sparse-averaging-one-layer")
    full = {"layers": 1, "heads": 1, "key_width": 1, "value_width": 1}
    fixed = Precision(2, "fixed")
    assert bound.violated(Size(**full, precision=fixed), 8.5) and not bound.violated(Size(**full, precision=fixed), 8.0)
    for change in ({"layers": 2}, {"layers": None}, {"heads": None}, {"key_width": None}, {"value_width": None}):
        assert not bound.violated(Size(**{**full, **change}, precision=fixed), 1e9)
    for precision in (None, Precision(2, "stored")):
        assert not bound.violated(Size(**full, precision=precision), 1e9)


def test_width_of_feed_forward_nets() -> None:
    bound = registry.get("sparse-averaging-feed-forward")
    task = make_task("sparse-averaging", {"q": 3, "dim": 2, "eps": 0.19})
    assert bound.bits(task, 10) == 20 and judge(bound.certificate(task, 10)).accepted
    assert bound.violated(Size(width=19), 20.0) and not bound.violated(Size(width=20), 20.0)
    assert not bound.violated(Size(), 20.0)
    assert bound.vacuous(task, 3) and bound.bits(task, 3) == 0
    tie = make_task("sparse-averaging", {"q": 3, "dim": 2, "eps": 0.2})
    assert bound.vacuous(tie, 10) and bound.bits(tie, 10) == 0


def test_every_certificate_is_accepted_and_claims_no_more_than_the_formula() -> None:
    grid: list[tuple[str, dict[str, object], int]]
    grid = [("index-lookup", {"symbols": s}, n) for s in (2, 3, 64) for n in (1, 2, 9, 40)]
    grid += [
        ("match2", {"modulus": m, "distinct_indices": d}, n)
        for m in (2, 3, 12)
        for d in (False, True)
        for n in (1, 2, 7, 20)
    ]
    grid += [
        ("sparse-averaging", {"q": q, "eps": e, "dim": 2}, n)
        for q in (1, 2, 3, 6)
        for e in (0.01, 0.3)
        for n in (6, 7, 13)
    ]
    accepted = 0
    for name, parameters, n in grid:
        task = make_task(name, parameters)
        for arch in ("rnn", "transformer", "mlp"):
            for bound in bounds_for(name, arch):
                if bound.vacuous(task, n) is not None:
                    assert bound.bits(task, n) <= 0 or "eps" in str(bound.vacuous(task, n))
                    continue
                certificate = bound.certificate(task, n)
                verdict = judge(certificate)
                assert verdict.accepted, (bound.name, parameters, n, verdict.sentence)
                assert float.fromhex(certificate.claim.bound) <= bound.bits(task, n)
                assert (certificate.claim.arch, certificate.claim.measure) == (bound.arch, bound.measure)
                accepted += 1
    assert accepted > 60
