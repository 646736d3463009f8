"""Depth vectors: an algebra of sequence and side by side; what the papers print, recomputed."""

from __future__ import annotations

import itertools
import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from separatrix.core.errors import InputError
from separatrix.depth.algebra import BLOCKS, F4, SYMBOLS, ZERO, Depth, d, layers, rows

DEPTHS = st.lists(st.integers(0, 9), min_size=len(SYMBOLS), max_size=len(SYMBOLS)).map(lambda c: Depth(tuple(c)))
LIBRARIES = st.lists(st.integers(0, 9), min_size=len(SYMBOLS), max_size=len(SYMBOLS)).map(
    lambda c: dict(zip(SYMBOLS, c, strict=True))
)


@settings(deadline=None)
@given(DEPTHS, DEPTHS, DEPTHS, LIBRARIES)
def test_sequence_adds_and_side_by_side_is_an_upper_bound(a: Depth, b: Depth, c: Depth, worth: dict[str, int]) -> None:
    assert a + b == b + a and (a + b) + c == a + (b + c) and a + ZERO == a and 3 * a == a + a + a
    assert (a + b).levels(worth) == a.levels(worth) + b.levels(worth)
    assert max(a.levels(worth), b.levels(worth)) <= (a | b).levels(worth) <= (a + b).levels(worth)


def test_what_the_papers_print_and_where_it_is_not_the_sum_of_its_parts() -> None:
    by_name = {block.name: block for block in BLOCKS}
    printed = {
        "RoPE score matrix A": "4d_std + 4d_⊕ + d_exp + d_△",
        "RoPE attention layer": "7d_std + 7d_⊕ + d_exp + d_△",
        "MLP, one affine map": "2d_std + d_⊕",
        "LayerNorm": "5d_std + 2d_⊕ + d_sqrt",
        "RoPE transformer, 3 layers": "21d_std + 21d_⊕ + 3d_exp + 3d_△ + 4d_g",
        "logarithm": "3d_std + 2d_⊕ + 2d_⊗",
        "convolution kernel of an SSM": "2d_std + 2d_⊕ + d_⊗",
    }
    assert {name: str(by_name[name].printed) for name in printed} == printed
    wrong = {block.name: block.recomputed - block.printed for block in BLOCKS if not block.agrees}
    assert wrong == {"logarithm": {"std": 1}, "SiLU": {"std": 1}, "Mamba layer": {"⊕": 1}}
    for block in BLOCKS:
        assert block.least is None or (block.least | block.recomputed) == block.recomputed, block.name
        assert ("MISPRINT" in block.verdict) == (not block.agrees)


def test_levels_of_one_layer_in_the_four_bit_library() -> None:
    attention = next(block for block in BLOCKS if block.name == "RoPE attention layer")
    assert attention.printed.levels(F4) == 7 * (3 + 2) + 0 + 1 == 36
    with pytest.raises(InputError, match="g"):
        layers(2).printed.levels(F4)
    with pytest.raises(InputError, match="no depth symbol"):
        d(standard=1)
    for m in range(1, 6):
        assert layers(m).agrees and str(layers(m).printed).startswith(f"{7 * m}d_std")


def test_every_row_of_the_table_says_where_it_is_from() -> None:
    assert len(rows()) == len(BLOCKS)
    assert all(row["paper"].endswith(("(seen)", "(recalled)")) and row["printed"] and row["verdict"] for row in rows())


def test_the_series_for_the_logarithm_at_one_needs_about_two_to_the_p_terms() -> None:
    """log r for r = 2 - 2^-p by the series in r - 1, to error 2^-p; and centred, for r in [1/sqrt 2, sqrt 2)."""

    def terms(x: float, p: int) -> int:
        partial, k = 0.0, 0
        while abs(partial - math.log1p(x)) > 2.0**-p:
            k += 1
            partial += -((-x) ** k) / k
        return k

    far = [terms(1 - 2.0**-p, p) for p in (4, 6, 8, 10)]
    near = [max(terms(math.sqrt(2) - 1, p), terms(math.sqrt(0.5) - 1, p)) for p in (4, 6, 8, 10)]
    assert all(b > 2.5 * a for a, b in itertools.pairwise(far)) and far[-1] > 300
    assert near == sorted(near) and near[-1] <= 10


def test_the_bound_stands_beside_the_compiled_depth() -> None:
    from separatrix.depth.beside import algebra_rows, bound, compiled_depths
    from separatrix.depth.report import compiled, lines_of
    from separatrix.models.quantise import reference_head

    assert bound(1)["levels"] == 36 and bound(2)["levels"] == 72
    circuit, report = compiled(reference_head(2, 2, 3))
    assert report["bound"]["levels"] == 36 and circuit.depth == 4
    assert any("7d_std" in line and "36 levels" in line and "compiled: 4 (" in line for line in lines_of(report))
    found = compiled_depths()
    starts = {name: int(text.split()[0].rstrip(",")) for name, text in found.items()}
    assert starts == {
        "matrix product": 2, "RoPE attention layer": 4, "MLP, one affine map": 1, "LayerNorm": 2,
        "RoPE transformer, 3 layers": 12,
    }  # fmt: skip
    assert sum("compiled" in row for row in algebra_rows()) == len(found)
