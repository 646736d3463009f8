"""Blocks that an answer joins: the three proofs of a join against enumeration, OR and XOR traps, malformed evidence."""

from __future__ import annotations

import itertools
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import numpy as np
import pytest

from separatrix.cannot.engine.birthday import birthday_certificate
from separatrix.cannot.engine.gadget import Gadget, gadget_certificate, search
from separatrix.core.certificate import Certificate
from separatrix.core.domain import Labels, Sequence
from separatrix.core.errors import UnknownError
from separatrix.core.gates import Gates
from separatrix.core.guarantee import CHECKED, PROVED
from separatrix.core.reading import Reading
from separatrix.core.task import Task
from separatrix.kernel import judge
from separatrix.kernel.gadget import Blocks
from separatrix.kernel.judge import SAMPLED
from separatrix.tasks import make_task, registry

AND, NAND, EQUAL, XOR = [[0, 0], [0, 1]], [[1, 1], [1, 0]], [[1, 0], [0, 1]], [[0, 1], [1, 0]]


@dataclass(frozen=True)
class Joined(Task):
    """A circuit over pairs (x_i, x_{i + n/2}): each pair shows table[a, b], and the answers are joined."""

    join: str = "or"
    table: str = "1110"
    made: ClassVar[dict[tuple[str, str, int], Gates]] = {}
    name = "test-joined"
    gloss = source = "a test's own"

    def domain(self, n: int) -> Sequence:
        return Sequence((np.arange(2),) * n, 2)

    def outputs(self) -> Labels:
        return Labels(2)

    def queries(self, n: int) -> tuple[int, ...]:
        return (n - 1,)

    def circuit(self, n: int) -> Gates:
        key = (self.join, self.table, n)
        if key not in self.made:
            gates, bits = Gates(), []
            for i in range(n // 2):
                x, y = gates.is_symbol(i, 1), gates.is_symbol(i + n // 2, 1)
                hits = [
                    gates.both(x ^ (1 - a), y ^ (1 - b)) for a in (0, 1) for b in (0, 1) if self.table[2 * a + b] == "1"
                ]
                bits.append(gates.fold(gates.either, hits, 0))
            how = {"and": gates.both, "or": gates.either, "xor": gates.differ}[self.join]
            gates.root = gates.fold(how, bits, int(self.join == "and"))
            self.made[key] = gates
        return self.made[key]

    def answer(self, tokens: np.ndarray, reals: np.ndarray | None = None) -> np.ndarray:
        return self.circuit(tokens.shape[1]).run(tokens).astype(np.int64)[:, None]

    def sample(self, n: int, size: int, rng: np.random.Generator, distribution: str = "uniform") -> Any:
        return rng.integers(0, 2, (size, n)), None

    def show(self, tokens: np.ndarray, reals: np.ndarray | None = None) -> str:
        return str(tokens)


@pytest.fixture(autouse=True)
def _own_task() -> Any:
    registry.register("test-joined")(Joined)
    yield
    registry._entries.pop("test-joined")


def blocks_of(n: int, join: str, table: list[list[int]], value: int = 1) -> Blocks:
    half, bits = np.arange(n // 2)[:, None], np.array([[0], [1]])
    return Blocks(n - 1, join, value, half, half + n // 2, bits, bits, np.array(table), np.zeros(n, dtype=np.int64))  # type: ignore[arg-type]


def made(
    task: Task, n: int, join: str, table: list[list[int]], value: int = 1, by: str | int = "circuit"
) -> Certificate:
    blocks = blocks_of(n, join, table, value)
    good = gadget_certificate(task, n, Gadget(blocks, blocks.rank()), n // 2)
    way = {"samples": by} if isinstance(by, int) else {"by": by}
    fields = {name: held for name, held in good.evidence.items() if name not in ("by", "samples")}
    good = replace(good, kind="gadget", guarantee=PROVED, trusted=Certificate.__dataclass_fields__["trusted"].default)
    if isinstance(by, int):
        good = replace(good, kind="gadget-sampled", guarantee=CHECKED, trusted=SAMPLED)
    return replace(good, evidence=fields | way)


def rank_by_enumeration(task: Task, n: int) -> int:
    words = np.array(list(itertools.product((0, 1), repeat=n)))
    return int(np.linalg.matrix_rank(task.answer(words)[:, -1].reshape(2 ** (n // 2), -1)))


@pytest.mark.parametrize("by", ["circuit", "words", 2000])
@pytest.mark.parametrize("join", ["and", "or", "xor"])
def test_every_join_of_every_table(join: str, by: str | int) -> None:
    """n = 6: accepted exactly for the task's own table and join (or one that means the same), never above the rank."""
    for bits in itertools.product((0, 1), repeat=4):
        table: list[list[int]] = [list(bits[:2]), list(bits[2:])]
        task = Joined(join, "".join(map(str, bits)))
        try:
            good = made(task, 6, join, table, by=by)
        except Exception:
            continue  # rank 0
        verdict = judge(good)
        assert verdict.accepted, (join, table, verdict.sentence)
        assert 2 ** float.fromhex(good.claim.bound) <= rank_by_enumeration(task, 6) + 1.001
        for place in range(4):  # another table is no join of this task
            other = np.array(bits)
            other[place] ^= 1
            bad = replace(good, arrays=good.arrays | {"table": other.reshape(2, 2)})
            bad = replace(bad, claim=replace(bad.claim, bound=(0.0).hex()))
            answers = Joined(join, "".join(map(str, other.tolist())))
            words = np.array(list(itertools.product((0, 1), repeat=6)))
            same = np.array_equal(answers.answer(words), task.answer(words))
            if not same:
                assert not judge(bad).accepted


def test_or_goes_through_the_complement_and_xor_through_signs() -> None:
    """OR of NAND has rank 2 and costs a bit, not d; OR of AND 2^d - 1; parity is an XOR of rank 1."""
    assert float.fromhex(made(Joined("or", "1110"), 12, "or", NAND).claim.bound) == 0.0
    lies = replace(made(Joined("or", "1110"), 12, "or", NAND).claim, bound=(6.0).hex())
    assert not judge(replace(made(Joined("or", "1110"), 12, "or", NAND), claim=lies)).accepted
    good = made(Joined("or", "0001"), 12, "or", AND)
    assert judge(good).accepted and float.fromhex(good.claim.bound) == 6.0
    assert float.fromhex(made(Joined("xor", "0110"), 12, "xor", XOR).claim.bound) == 0.0
    good = made(Joined("xor", "0001"), 12, "xor", AND)
    assert judge(good).accepted and float.fromhex(good.claim.bound) == 6.0


@pytest.mark.parametrize("name", ["equality", "disjointness", "inner-product"])
def test_halves_of_256_bits_are_found_and_proved(name: str) -> None:
    task = make_task(name)
    for cut, measure in ((256, "state"), (None, "exchange")):
        best = search(task, 512, cut)[0]
        good = gadget_certificate(task, 512, best, cut)
        verdict = judge(good)
        assert verdict.accepted and verdict.guarantee == PROVED and good.claim.measure == measure
        assert float.fromhex(good.claim.bound) == 256.0


@pytest.mark.slow
def test_interleaved_brackets() -> None:
    """Depth 2, two types: 64 blocks of neighbours give 64 bits at least; deeper words are not taken for joins."""
    for depth, least in ((2, 64.0), (3, 64.0)):
        task = make_task("dyck", {"depth": depth})
        found = search(task, 128, known=True)
        accepted = [g for g in found[:8] if judge(gadget_certificate(task, 128, g, None, "one-way")).accepted]
        assert accepted and accepted[0].bits >= least


def test_no_gadget_says_nothing() -> None:
    for name, n in (("majority", 33), ("parity", 32), ("greater-than", 32)):
        with pytest.raises(UnknownError, match="says nothing"):
            search(make_task(name), n, n // 2)
    with pytest.raises(UnknownError):
        search(make_task("match3"), 8)


def test_malformed_evidence() -> None:
    task = Joined("and", "1001")
    good = made(task, 8, "and", EQUAL)
    assert judge(good).accepted
    arrays: list[dict[str, np.ndarray]] = [
        {"hers": np.array([[0], [1], [2], [2]])}, {"his": np.array([[4], [5], [6], [8]])},
        {"his": np.array([[4], [5], [6]])}, {"hers": np.array([[0], [1], [2], [-1]])},
        {"her_words": np.array([[0], [2]])}, {"table": np.array([[1, 0], [0, 2]])}, {"table": np.eye(3, dtype=int)},
        {"her_words": np.zeros((0, 1), dtype=np.int64)}, {"base": np.zeros(7, dtype=np.int64)},
        {"table": np.array([[1.0, 0.0], [0.0, 1.0]])}, {"more": np.zeros(1)},
    ]  # fmt: skip
    for change in arrays:
        assert not judge(replace(good, arrays=good.arrays | change)).accepted, change
    fields: list[dict[str, Any]] = [
        {"join": "nor"}, {"by": "faith"}, {"by": "reading"}, {"value": 2}, {"cut": 3}, {"cut": 5}, {"query": 0},
        {"value": 0}, {"samples": 2000}, {"join": "or"}, {"cut": 8},
    ]  # fmt: skip
    for change in fields:
        assert not judge(replace(good, evidence=good.evidence | change)).accepted, change
    assert not judge(replace(good, claim=replace(good.claim, measure="message"))).accepted
    few = made(task, 8, "and", EQUAL, by=10)
    assert not judge(few).accepted
    assert not judge(replace(made(task, 8, "and", EQUAL, by=2000), guarantee=PROVED)).accepted
    assert not judge(replace(good, kind="gadget-sampled")).accepted


def test_a_wrong_join_that_few_inputs_show() -> None:
    """All pairs equal but one pair never matters: uniform samples would not see it; the samples of the kind do."""
    half = np.arange(1, 16)[:, None]
    blocks = replace(blocks_of(32, "and", EQUAL), hers=half, his=half + 16)
    task = Joined("and", "1001")
    for base, accepted in ((np.zeros(32, dtype=np.int64), True), (np.eye(1, 32, dtype=np.int64)[0], False)):
        good = gadget_certificate(task, 32, Gadget(replace(blocks, base=base), 2), 16)
        fields = {name: held for name, held in good.evidence.items() if name != "by"} | {"samples": 1000}
        sampled = replace(good, kind="gadget-sampled", guarantee=CHECKED, trusted=SAMPLED, evidence=fields)
        assert judge(good).accepted is judge(sampled).accepted is accepted


def test_birthdays() -> None:
    """Greater-than has no gadget; random prefixes differ, which is worth twice what explicit ones are."""
    task = make_task("greater-than")
    good = birthday_certificate(task, 64, 32, seconds=1.0)
    verdict = judge(good)
    assert verdict.accepted and str(verdict.guarantee) == "statistical(1e-09)"
    m = int(good.evidence["prefixes"])
    assert float.fromhex(good.claim.bound) == pytest.approx(np.log2(m * (m - 1) / 2 / np.log(1e9)), abs=1e-3)
    assert not judge(replace(good, claim=replace(good.claim, bound=(20.0).hex()))).accepted
    for name, n, cut in (("parity", 32, 16), ("majority", 33, 16)):
        with pytest.raises(UnknownError):
            birthday_certificate(make_task(name), n, cut, seconds=0.1)
    small = birthday_certificate(task, 64, 32, seconds=0.001)
    lies = replace(small, claim=replace(small.claim, n=8), evidence=small.evidence | {"cut": 4})
    cut4 = {"copy": np.arange(4), "base": np.zeros(4, dtype=np.int64)}
    verdict = judge(replace(lies, arrays=lies.arrays | cut4))
    assert not verdict.accepted and "only" in verdict.sentence  # 16 rows are too few for that many prefixes


def test_an_automaton_that_leaves_positions_out_proves_no_join(monkeypatch: pytest.MonkeyPatch) -> None:
    """Blocks that are never read would be counted, and joined to nothing."""
    task = make_task("equality")
    good = gadget_certificate(task, 8, search(task, 8, 4)[0], 4)
    reading: Any = type(task).reading

    def short(self: Any, n: int, query: int) -> Reading | None:
        return reading(self, n - 2, query)

    assert good.evidence["by"] == "reading" and judge(good).accepted
    monkeypatch.setattr(type(task), "reading", short)
    verdict = judge(good)
    assert not verdict.accepted and "every position" in verdict.sentence
