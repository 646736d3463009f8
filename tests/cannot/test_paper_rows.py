"""The rows of facts about lower bounds that the papers' digests list: where each is tested, and the ones tested here.

Rows of Sanford, Hsu, Telgarsky 2023 are S13 .. S26, of Bhattamishra, Hahn, Blunsom, Kanade 2024 B1 .. B20.
"""

from __future__ import annotations

import itertools
import math
from pathlib import Path

import numpy as np
import pytest

from separatrix.cannot.engine.matrix import Matrix
from separatrix.cannot.engine.partition import worst_by_reading
from separatrix.cannot.reduction import DISJ
from separatrix.kernel import judge
from separatrix.tasks import make_task

HERE = Path(__file__)
ROWS = {
    "S13": [("cannot/test_problems.py", "test_disjointness_reduces_to_match3_at_its_least_modulus"),
            ("cannot/test_sparse_averaging.py", ""), ("cannot/test_paper_rows.py", "test_least_modulus_by_search")],
    "S14": [("cannot/test_problems.py", "test_a_zero_at_the_query_breaks_the_reduction_to_match3")],
    "S15": [("cannot/test_ledger.py", "test_disjointness_prints")],
    "S16": [("cannot/test_facts.py", "test_match3_by_disjointness_prints")],
    "S17": [("cannot/test_facts.py", "test_a_split_softmax_keeps_its_error_bound")],
    "S18": [("verify/test_first_layer.py", "test_any_net_on_a_narrow_layer_errs_by_the_stated_amount")],
    "S19": [("cannot/test_facts.py", "test_split_vc")],
    "S26": [("cannot/test_problems.py", "test_one_way_rows_of_match3"),
            ("cannot/test_paper_rows.py", "test_one_way_rows_of_averages")],
    "B1": [("cannot/test_paper_rows.py", "test_index_costs_its_length")],
    "B2": [("cannot/test_paper_rows.py", "test_equality_three_ways")],
    "B3": [("cannot/test_paper_rows.py", "test_words_of_bounded_depth")],
    "B4": [("cannot/test_paper_rows.py", "test_words_of_bounded_depth")],
    "B5": [("cannot/test_paper_rows.py", "test_odd_symbols_determine_even_ones_up_to_depth_two")],
    "B6": [("cannot/test_facts.py", "test_states_of_the_dyck_automaton")],
    "B15": [("cannot/test_ledger.py", "test_128_numbers_of_64_bits")],
    "B16": [("cannot/test_facts.py", "test_one_layer_dyck_at_32_bits")],
    "B17": [("cannot/test_facts.py", "test_hebbian_memories_lose_pairs_long_before_they_are_full")],
    "B19": [("cannot/test_problems.py", "test_index_gives_no_bound_on_one_layer")],
    "B20": [("cannot/audit/test_caches.py", "")],
}  # fmt: skip


@pytest.mark.parametrize("row", list(ROWS))
def test_every_row_is_tested_where_it_says(row: str) -> None:
    for path, name in ROWS[row]:
        source = (HERE.parents[1] / path).read_text()
        assert f"def {name or 'test_'}" in source, (row, path, name)


@pytest.mark.parametrize("n", range(1, 13))
def test_index_costs_its_length(n: int) -> None:
    """B1: 2^n different rows, so n bits, from the whole matrix for n = 1 .. 12."""
    good = Matrix.of(make_task("index-lookup", {"symbols": 2}), n, n).rows()
    assert judge(good).accepted and float.fromhex(good.claim.bound) == n


@pytest.mark.parametrize("n", range(1, 7))
def test_equality_three_ways(n: int) -> None:
    """B2: 2^n rows, rank 2^n, a fooling set of 2^n."""
    task = make_task("equality")
    matrix = Matrix.of(task, 2 * n, n)
    assert len(matrix.labels) == 2**n
    for good in (matrix.rows(), matrix.fooling(), Matrix.of(task, 2 * n, alice=range(n)).rank()):
        assert judge(good).accepted and float.fromhex(good.claim.bound) == n


COUNTS = {(2, 2): (2, 8, 32, 128, 512), (1, 2): (1, 2, 4, 8, 16), (2, 1): (2, 4, 8, 16, 32),
          (3, 2): (3, 18, 108, 648, 3888), (2, 3): (2, 8, 40, 208, 1088)}  # fmt: skip


@pytest.mark.parametrize("types,depth", list(COUNTS))
def test_words_of_bounded_depth(types: int, depth: int) -> None:
    """B3, B4: words of length 2, 4, 6, 8, 10, by the automaton; depth 2: 2^(L-1) n^L; short ones by answers."""
    task = make_task("dyck", {"types": types, "depth": depth})
    table = task.automaton()  # type: ignore[attr-defined]
    ways, found = np.zeros(len(table), dtype=object), []
    ways[0] = 1
    for length in range(1, 11):
        after = np.zeros(len(table), dtype=object)
        for symbol in range(2 * types):
            np.add.at(after, table[:, symbol], ways)
        ways = after
        if length % 2 == 0:
            found.append(int(ways[0]))
    assert tuple(found) == COUNTS[types, depth]
    if depth == 2:
        assert found == [2 ** (half - 1) * types**half for half in range(1, 6)]
    for n in (2, 4):
        words = np.array([[*w, 2 * types] for w in itertools.product(range(2 * types), repeat=n)])
        assert int(task.answer(words).sum()) == found[n // 2 - 1]


@pytest.mark.parametrize(("types", "depth", "lengths", "unique"), [
    (2, 2, (2, 4, 6, 8), True), (1, 2, (2, 4, 6, 8, 10), True), (2, 1, (2, 4, 6, 8), True), (3, 2, (2, 4, 6), True),
    (2, 3, (6,), False), (1, 3, (6,), False),
])  # fmt: skip
def test_odd_symbols_determine_even_ones_up_to_depth_two(
    types: int, depth: int, lengths: tuple[int, ...], unique: bool
) -> None:
    """B5: so all words are a fooling set for the odd and the even positions; at depth 3 they are not, from N = 6."""
    task = make_task("dyck", {"types": types, "depth": depth})
    for n in lengths:
        words = np.array([[*w, 2 * types] for w in itertools.product(range(2 * types), repeat=n)])
        right = words[task.answer(words)[:, 0] == 1]
        assert (len(np.unique(right[:, 0:n:2], axis=0)) == len(right)) is unique
    if unique and types == depth == 2:
        assert worst_by_reading(task, 6, 1).count == 32


def test_least_modulus_by_search() -> None:
    """S13: with one number at the query and n of each party, each one of two, M = 2n + 2 is least (n = 1, 2)."""
    for n in (1, 2):
        for modulus in range(2, 2 * n + 3):
            assert layout_exists(n, modulus) is (modulus == 2 * n + 2), (n, modulus)


def layout_exists(n: int, modulus: int) -> bool:
    """Whether some numbers (c; filler of Alice, of Bob; n of hers, n of his) make row 1 of Match3 disjointness."""
    a, b = DISJ.inputs(n)
    wanted = DISJ.value(a, b)
    c, fa, fb, *rest = np.stack(np.meshgrid(*[np.arange(modulus)] * (3 + 2 * n), indexing="ij")).reshape(3 + 2 * n, -1)
    fine = np.ones(len(c), dtype=bool)
    for hers, his, value in zip(a, b, wanted, strict=True):
        x = [c, *(np.where(h, r, fa) for h, r in zip(hers, rest[:n], strict=True))]
        x += [np.where(h, r, fb) for h, r in zip(his, rest[n:], strict=True)]
        hits = np.zeros(len(c), dtype=bool)
        for j, k in itertools.combinations_with_replacement(range(2 * n + 1), 2):
            hits |= (c + x[j] + x[k]) % modulus == 0
        fine &= hits == (value == 1)
    if fine.any():  # the task agrees
        at = int(fine.argmax())
        own = np.where(a == 1, [r[at] for r in rest[:n]], fa[at])
        other = np.where(b == 1, [r[at] for r in rest[n:]], fb[at])
        x = np.concatenate([np.full((len(a), 1), c[at]), own, other], axis=1)
        assert np.array_equal(make_task("match3", {"modulus": modulus}).answer(x)[:, 0], wanted)
    return bool(fine.any())


@pytest.mark.parametrize(("n", "q", "count"), [(7, 2, 15), (7, 3, 20)])
def test_one_way_rows_of_averages(n: int, q: int, count: int) -> None:
    """S26: pointer sets without their own token have C(N - 1, q) different rows: signs tell them apart."""
    task = make_task("sparse-averaging", {"q": q, "eps": 0.5 / q})
    sets = list(itertools.combinations(range(n - 1), q))
    signs = np.array(list(itertools.product((1.0, -1.0), repeat=n - 1)))
    rows = set()
    for pointers in sets:
        tokens = np.tile(np.arange(q), (len(signs), n, 1))
        tokens[:, n - 1] = pointers
        reals = np.zeros((len(signs), n, 1))
        reals[:, : n - 1, 0] = signs
        rows.add(np.round(task.answer(tokens, reals)[:, -1, 0], 6).tobytes())
    assert len(rows) == count == math.comb(n - 1, q)
