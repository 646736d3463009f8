"""The papers' bounds beside compiled depths: what the printed sum of symbols is worth in gates, and what is built."""

from __future__ import annotations

from typing import Any

import numpy as np

from separatrix.depth.algebra import F4, layers, rows
from separatrix.depth.builder import Builder
from separatrix.depth.circuit import Circuit
from separatrix.depth.compiler.network import compile_network
from separatrix.depth.compiler.paper import compile_norm, compile_paper
from separatrix.depth.compiler.word import Word, both_bits, rounded
from separatrix.models.paper import PaperHead, PaperNorm
from separatrix.models.quantise import reference_head, reference_model
from separatrix.models.quantised import Map, Normalise, Quantised
from separatrix.numbers import FixedFormat
from separatrix.numbers.floats import FloatFormat


def bound(attention_layers: int) -> dict[str, Any]:
    """The main theorem's depth for so many layers with nothing between them, and its levels for 4-bit floats."""
    block = layers(attention_layers)
    return {
        "source": f"{block.paper} ({block.read})", "printed": str(block.printed),
        "levels": block.printed.levels(F4 | {"g": 0}),
    }  # fmt: skip


def bound_line(attention_layers: int, depth: int) -> str:
    """In words, for a report of a circuit of so many levels."""
    found = bound(attention_layers)
    return (
        f"the paper's bound: {found['printed']}, {found['levels']} levels for 4-bit floats and d_g = 0; "
        f"compiled: {depth} ({found['source']})"
    )


def compiled_depths() -> dict[str, str]:
    """Block of the algebra -> what its compiled form measures, in words; each is built when asked for."""
    numbers = FixedFormat(3, 1)
    one, two = np.ones(2, dtype=np.int64), np.array([[1, -1], [2, 1]])
    affine = Quantised(1, 2, numbers, (Map(two, one, 1),))
    norm = Quantised(1, 2, numbers, (Normalise(2 * one, one, 1, 1),))
    head, three = reference_head(2, 2, 3), reference_head(2, 2, 3, 3)
    floats = FloatFormat.paper(3)
    paper = compile_paper(PaperHead.of(reference_model(2), 2, floats)).depth
    row = compile_norm(floats, PaperNorm.plain(floats, 2)).depth
    each = "rounded after every operation, in F_3"
    once = "with one rounding a layer's stage, in fixed point"
    return {
        "matrix product": f"{_product(numbers).depth}, entries rounded once",
        "RoPE attention layer": f"{compile_network(head).depth} {once}; {paper} {each}",
        "MLP, one affine map": f"{compile_network(affine).depth} {once}",
        "LayerNorm": f"{compile_network(norm).depth} {once}; {row} {each}",
        "RoPE transformer, 3 layers": f"{compile_network(three).depth} {once}",
    }


def algebra_rows() -> list[dict[str, str]]:
    """The algebra's table with the compiled depths in it."""
    found = compiled_depths()
    return [
        row | ({"compiled": f"compiled here: {found[row['name']]}"} if row["name"] in found else {}) for row in rows()
    ]


def _product(numbers: FixedFormat) -> Circuit:
    """A 2 x 2 matrix product of inputs: products of bits, then one rounding an entry."""
    n, p = 2, numbers.bits
    b = Builder(2 * n * n * p)
    wires = np.arange(b.inputs).reshape(2, n, n, p)
    left, right = (Word.of_inputs(b, wires[k], numbers.low) for k in range(2))
    i, c, a, k = np.indices((n, n, n, p * p))
    ands = both_bits(b, left, right, ((i, a, k // p), (a, c, k % p)), "product", ())
    codes = b.forms(ands, 2 ** (k // p + k % p))  # (x - low)(y - low) for every a
    x, y = left.value[i[..., 0], a[..., 0]], right.value[a[..., 0], c[..., 0]]
    products = b.add([(1, codes), (numbers.low, x), (numbers.low, y)], -numbers.low * numbers.low)
    total = b.dot(1, products)
    return b.circuit(
        rounded(b, total, numbers.low, numbers.high, numbers.fraction, (numbers.low, p), "round", ()).value
    )
