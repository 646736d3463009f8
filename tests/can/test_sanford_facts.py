"""The facts that the constructions of Sanford, Hsu and Telgarsky (2023, 2024) and their kin are judged by."""

from __future__ import annotations

import ast
import math
from pathlib import Path

import numpy as np
import pytest

from separatrix.core.seeds import child
from separatrix.tasks.k_hop import KHop

TESTS = Path(__file__).parents[1]
WHERE: dict[str, tuple[str, ...]] = {  # fact -> the tests of it, as file::function
    "hop_1, hop_2, hop_3 of baebcabebdea": ("tasks/test_steps.py::test_hops_by_hand",),
    "least margins of trigonometric keys": (
        "can/test_sparse_averaging.py::test_trigonometric_margins_and_temperatures",
        "can/test_sparse_averaging.py::test_least_trigonometric_margin_is_the_closed_form",
    ),
    "temperatures of trigonometric keys, in bits": (
        "can/test_sparse_averaging.py::test_trigonometric_margins_and_temperatures",
    ),
    "greatest off-scores of random signs": ("can/test_sparse_averaging.py::test_random_keys_score_as_expected",),
    "widths of random signs at margin 1/2": (
        "can/test_dual_certificates.py::test_width_grows_like_14_q_ln_n_at_margin_one_half",
    ),
    "widths that the Babel sum certifies": (
        "can/test_sparse_averaging.py::test_babel_widths_of_random_and_chirp_codes",
    ),
    "one-sided margins": ("can/test_dual_certificates.py::test_one_sided_certificates_need_only_a_few_q_numbers",),
    "sufficient temperatures": ("can/test_sparse_averaging.py::test_sufficient_temperatures",),
    "rounding of queries": ("can/test_sparse_averaging.py::test_rounding_queries_costs_a_factor_four_for_two_bits",),
    "Match2 by one unit": ("can/test_match2_circle.py::test_every_input_is_answered_with_the_margins_of_the_proof",),
    "Match3 by one third-order unit": (
        "can/test_match3_third_order.py::test_every_input_is_answered_with_the_margins_of_the_proof",
    ),
    "Match3 with neighbours, and within a window": (
        "can/test_match3_easy.py::test_every_short_input_is_answered_and_the_stated_size_is_built",
    ),
    "the last occurrence by angles": (
        "can/test_sanford_facts.py::test_the_printed_angles_lead_astray_and_twice_the_spacing_does_not",
    ),
    "depth of k-hop with one lookup a layer": (
        "can/test_sanford_facts.py::test_one_lookup_a_layer_reaches_k_hops_in_log_k_plus_two_layers",
        "can/test_sanford_facts.py::test_the_recursion_as_we_read_it_makes_half_the_hops",
    ),
    "packet codes": (
        "can/programs/test_mpc.py::test_a_draw_of_the_stated_width_is_good_and_an_eighth_of_it_is_not",
        "can/test_sanford_facts.py::test_packet_codes_for_four_messages_at_once",
    ),
    "Strassen attention as a ratio of matrix products": (
        "can/test_strassen.py::test_a_ratio_of_matrix_products_is_the_definition",
    ),
}


@pytest.mark.parametrize("fact", WHERE)
def test_every_fact_has_its_tests(fact: str) -> None:
    for name in WHERE[fact]:
        file, _, function = name.partition("::")
        tree = ast.parse((TESTS / file).read_text())
        assert function in {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}, name


def last_occurrence(word: np.ndarray, symbols: int, spacing: int) -> np.ndarray:
    """Where a head with keys on a circle looks: angle (spacing n mu + i) / (spacing n symbols) for the symbol mu at i.

    Position i asks with its own symbol, j answers with the symbol before it; a start token, which means nowhere,
    stands n - 1/2 steps away. Distances are doubled whole numbers, so that there are no ties by rounding.
    """
    n, found = len(word), []
    circle = 2 * spacing * n * symbols
    for i in range(1, n + 1):
        asked = 2 * (spacing * n * word[i - 1] + i)
        best, where = 2 * n - 1, 0
        for j in range(2, i + 1):
            apart = abs(asked - 2 * (spacing * n * word[j - 2] + j)) % circle
            apart = min(apart, circle - apart)
            if apart < best:
                best, where = apart, j
        found.append(where)
    return np.array(found)


@pytest.mark.parametrize(("n", "symbols", "share"), [(10, 4, 0.30), (50, 4, 0.33), (50, 20, 0.44)])
def test_the_printed_angles_lead_astray_and_twice_the_spacing_does_not(n: int, symbols: int, share: float) -> None:
    """Sanford et al. 2024, Lemma D.2: at spacing N the last position of random words often goes wrong, at 2N none."""
    rng, wrong, trials = child(0, "last-occurrence", n, symbols), 0, 150
    for _ in range(trials):
        word = rng.integers(0, symbols, n)
        right = [max((j for j in range(2, i + 1) if word[j - 2] == word[i - 1]), default=0) for i in range(1, n + 1)]
        wrong += int(last_occurrence(word, symbols, 1)[-1] != right[-1])
        assert np.array_equal(last_occurrence(word, symbols, 2), right)
    assert wrong / trials == pytest.approx(share, abs=0.12)


def hops(word: np.ndarray, symbols: int) -> np.ndarray:
    """find(i) for indices from 0 on; index 0 is nowhere."""
    latest, found = {}, []
    for i, symbol in enumerate(word.tolist()):
        if i:
            latest[int(word[i - 1])] = i
        found.append(latest.get(symbol, 0))
    return np.array(found)


def answers(word: np.ndarray, where: np.ndarray, symbols: int) -> np.ndarray:
    return np.where(where > 0, word[where], symbols)


@pytest.mark.parametrize("k", range(1, 33))
def test_one_lookup_a_layer_reaches_k_hops_in_log_k_plus_two_layers(k: int) -> None:
    """Layer l keeps find^a and find^(a-1), a = ceil(k / 2^(L-l)), and looks up where one of the two leads."""
    layers = math.ceil(math.log2(k)) + 2
    word = child(0, "k-hop", k).integers(0, 2, 60)
    find = hops(word, 2)
    ahead, behind, reached = find, np.arange(60), 1  # layer 1 fetched the symbol before, layer 2 hopped once
    for layer in range(3, layers + 1):
        wanted = -(-k // 2 ** (layers - layer))
        assert wanted in (2 * reached, 2 * reached - 1)
        through = ahead if wanted == 2 * reached else behind
        ahead, behind, reached = ahead[through], behind[through], wanted
    assert reached == k
    assert np.array_equal(answers(word, ahead, 2), KHop(k, 2).answer(word[None])[0])


def test_the_recursion_as_we_read_it_makes_half_the_hops() -> None:
    """Composing find^(2^(l-2)) where bit l - 1 of k is set makes floor(k / 2) hops, not k."""
    word = child(0, "printed").integers(0, 2, 60)
    find = hops(word, 2)
    powers = [find]
    for _ in range(6):
        powers.append(powers[-1][powers[-1]])
    for k in range(2, 33):
        where = np.arange(60)
        for layer in range(2, math.floor(math.log2(k)) + 3):
            if k >> (layer - 1) & 1:
                where = powers[layer - 2][where]
        half = np.arange(60)
        for _ in range(k // 2):
            half = find[half]
        assert np.array_equal(where, half)
    assert not np.array_equal(answers(word, find, 2), KHop(2, 2).answer(word[None])[0])


@pytest.mark.slow
def test_packet_codes_for_four_messages_at_once() -> None:
    """64 rows, b = 4: all 2.5 million choices of one row and three others."""
    from separatrix.can.programs.packets import is_good, packet_code

    code = packet_code(64, 4)
    assert code.shape == (64, 799) and is_good(code, 4)
