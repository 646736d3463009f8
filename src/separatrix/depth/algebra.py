"""Depths as vectors over the symbols of the papers: every composed depth that they print, recomputed from its parts."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Literal

from separatrix.core.errors import InputError

SYMBOLS = {
    "std": "+, *, / and comparison of two p-bit floats",
    "⊕": "sum of poly(n) floats",
    "⊗": "product of poly(n) floats",
    "exp": "exponential to relative error 2^-p",
    "sqrt": "square root to relative error 2^-p",
    "△": "sine and cosine to error 2^-p",
    "dup": "copies of an entry",
    "g": "one layer between attentions (an MLP or a LayerNorm)",
}
F4 = {"std": 3, "⊕": 2, "⊗": 4, "exp": 1, "sqrt": 1, "△": 0, "dup": 0}  # levels of threshold gates, p = 4, forms free


@dataclass(frozen=True, slots=True)
class Depth:
    """A sum of symbols with multiplicities: d(std=2) + d(exp=1) one after the other, a | b side by side.

    >>> str(4 * d(std=1, oplus=1) + d(exp=1)), str(d(std=2) | d(std=1, exp=1))
    ('4d_std + 4d_⊕ + d_exp', '2d_std + d_exp')
    """

    counts: tuple[int, ...]

    def __add__(self, other: Depth) -> Depth:
        return Depth(tuple(a + b for a, b in zip(self.counts, other.counts, strict=True)))

    def __or__(self, other: Depth) -> Depth:
        """At least the greater of the two, whatever the symbols are worth: the greater multiplicity of each."""
        return Depth(tuple(max(a, b) for a, b in zip(self.counts, other.counts, strict=True)))

    def __rmul__(self, times: int) -> Depth:
        return Depth(tuple(times * count for count in self.counts))

    def __sub__(self, other: Depth) -> dict[str, int]:
        """Symbol -> difference, where there is one."""
        pairs = zip(SYMBOLS, self.counts, other.counts, strict=True)
        return {symbol: a - b for symbol, a, b in pairs if a != b}

    def levels(self, library: Mapping[str, int]) -> int:
        """Levels of gates when every symbol is worth what a library of circuits needs; InputError for a missing one."""
        used = {symbol: count for symbol, count in zip(SYMBOLS, self.counts, strict=True) if count}
        if missing := sorted(set(used) - set(library)):
            raise InputError(f"no depth is given for {', '.join(missing)}")
        return sum(count * library[symbol] for symbol, count in used.items())

    def __str__(self) -> str:
        terms = [f"{c if c > 1 else ''}d_{s}" for s, c in zip(SYMBOLS, self.counts, strict=True) if c]
        return " + ".join(terms) or "0"


def d(**counts: int) -> Depth:
    """A depth from multiplicities; oplus, otimes and triangle stand for ⊕, ⊗ and △."""
    names = {"oplus": "⊕", "otimes": "⊗", "triangle": "△"}
    given = {names.get(name, name): count for name, count in counts.items()}
    if unknown := set(given) - set(SYMBOLS):
        raise InputError(f"no depth symbol {sorted(unknown)[0]!r}; there are {', '.join(SYMBOLS)}")
    return Depth(tuple(given.get(symbol, 0) for symbol in SYMBOLS))


ZERO = d()


def total(steps: Iterable[tuple[str, Depth]]) -> Depth:
    """Steps one after the other."""
    depth = ZERO
    for _, step in steps:
        depth = depth + step
    return depth


@dataclass(frozen=True, slots=True)
class Block:
    """A composed depth of a paper.

    Attributes:
        printed: as the paper has it.
        steps: our decomposition, one after the other, in the paper's order.
        least: with what does not wait for each other side by side; None where that changes nothing.
        read: `seen`, the statement was read; `recalled`, quoted from memory and to be confirmed.
        remark: what the sum does not say.
    """

    name: str
    paper: str
    printed: Depth
    steps: tuple[tuple[str, Depth], ...]
    least: Depth | None = None
    read: Literal["seen", "recalled"] = "seen"
    remark: str = ""

    @property
    def recomputed(self) -> Depth:
        """The sum of the steps."""
        return total(self.steps)

    @property
    def agrees(self) -> bool:
        """Whether the printed sum is that of its parts."""
        return self.printed == self.recomputed

    @property
    def verdict(self) -> str:
        """In words."""
        if self.agrees:
            return "its parts sum to it"
        apart = ", ".join(f"d_{s} {diff:+d}" for s, diff in (self.recomputed - self.printed).items())
        return f"MISPRINT: its parts sum to {self.recomputed} (that is {apart})"


ROPE = "Chen, Li, Liang, Shi, Song 2024 (RoPE, 2411.07602)"
MAMBA = "Chen, Li, Liang, Shi, Song 2025 (Mamba, 2412.06148)"
PRODUCT = d(std=1, oplus=1)  # of two matrices: all products, then all sums
A = 4 * PRODUCT + d(triangle=1, exp=1)
ATTENTION = 7 * PRODUCT + d(triangle=1, exp=1)
LOG = d(oplus=2, otimes=2, std=3)
SOFTPLUS = d(exp=1, std=1) + LOG
SILU = d(exp=1, std=1)
SELECT = 2 * d(std=1) + d(oplus=1, dup=1) + SOFTPLUS
CONV = d(std=2, oplus=2)


def layers(m: int) -> Block:
    """m attention layers between m + 1 layers g."""
    steps = [("g_0", d(g=1))]
    for i in range(1, m + 1):
        steps += [(f"Attn_{i}", ATTENTION), (f"g_{i}", d(g=1))]
    printed = (m + 1) * d(g=1) + 7 * m * PRODUCT + m * d(triangle=1, exp=1)
    return Block(f"RoPE transformer, {m} layers", f"{ROPE}, main theorem", printed, tuple(steps), read="recalled")


BLOCKS = (
    Block("matrix product", f"{MAMBA}, Lemma 3.16", PRODUCT, (("products", d(std=1)), ("sums", d(oplus=1)))),
    Block(
        "RoPE score matrix A", ROPE, A,
        (("sin, cos", d(triangle=1)), ("X W_Q", PRODUCT), ("times R", PRODUCT), ("times W_K^T", PRODUCT),
         ("times X^T", PRODUCT), ("exp", d(exp=1))),
        least=(d(triangle=1) | PRODUCT) + 3 * PRODUCT + d(exp=1), read="recalled",
        remark="rotations do not depend on the input: as constants of a circuit they cost no depth",
    ),
    Block(
        "RoPE attention layer", ROPE, ATTENTION,
        (("A", A), ("D = diag(A 1)", d(oplus=1)), ("A X", PRODUCT), ("times W_V", PRODUCT), ("divide by D", d(std=1))),
        least=A + 2 * PRODUCT + d(std=1), read="recalled", remark="D and A X W_V do not wait for each other",
    ),
    Block("MLP, one affine map", ROPE, d(std=2, oplus=1), (("W x", PRODUCT), ("+ b", d(std=1))), read="recalled"),
    Block(
        "LayerNorm", ROPE, d(std=5, oplus=2, sqrt=1),
        (("sum", d(oplus=1)), ("mean", d(std=1)), ("x - mean", d(std=1)), ("squares", d(std=1)), ("sum", d(oplus=1)),
         ("variance", d(std=1)), ("root", d(sqrt=1)), ("divide", d(std=1))), read="recalled",
    ),
    layers(3),
    Block(
        "logarithm", f"{MAMBA}, Lemma B.3", LOG,
        (("x = r 2^k", d(std=1)), ("powers of r - 1", d(otimes=1)), ("coefficients", d(std=1)), ("sum", d(oplus=1)),
         ("log 2: powers", d(otimes=1)), ("log 2: sum", d(oplus=1)), ("k log 2", d(std=1)), ("add", d(std=1))),
        least=d(std=4, otimes=1, oplus=1),
        remark="log 2 is a constant; and the series at 1 for r in [1, 2) needs about 2^p terms, not O(p)",
    ),
    Block("softplus", f"{MAMBA}, Lemma B.4", SOFTPLUS, (("exp", d(exp=1)), ("1 +", d(std=1)), ("log", LOG))),
    Block(
        "SiLU", f"{MAMBA}, Lemma B.5", SILU, (("exp", d(exp=1)), ("1 +", d(std=1)), ("x / .", d(std=1))),
        remark="1 + exp(-x) and the division are two operations, one after the other",
    ),
    Block(
        "discretisation", f"{MAMBA}, Lemma B.2", d(std=5, exp=2, oplus=1),
        (("Delta A", d(std=1)), ("exp, for A", d(exp=1)), ("inverse", d(std=1)), ("exp, for B", d(exp=1)),
         ("minus I", d(std=1)), ("times the inverse", d(std=1)), ("times Delta B", PRODUCT)),
        least=d(std=4, exp=1, oplus=1), remark="both exponentials are the same one; the inverse does not wait for it",
    ),
    Block(
        "selection", f"{MAMBA}, Lemma B.10", SELECT,
        (("W x", PRODUCT), ("copies", d(dup=1)), ("+ parameter", d(std=1)), ("softplus", SOFTPLUS)),
    ),
    Block(
        "convolution over time", f"{MAMBA}, Lemma B.9", CONV,
        (("products", d(std=1)), ("sum over the window", d(oplus=1)), ("sum over channels", d(oplus=1)),
         ("bias", d(std=1))), least=d(std=2, oplus=1), remark="both sums are one iterated sum",
    ),
    Block(
        "recurrent SSM", f"{MAMBA}, Theorem 4.2", d(std=3, oplus=2),
        (("A H_(t-1)", PRODUCT), ("+ B x_t", d(std=1)), ("C H_t", PRODUCT)),
        remark="H_t waits for H_(t-1): this is the depth of one step, not of n; constant depth needs the kernel form",
    ),
    Block(
        "convolution kernel of an SSM", f"{MAMBA}, Lemma B.7", d(otimes=1, std=2, oplus=2),
        (("powers of A", d(otimes=1)), ("times B", PRODUCT), ("times C", PRODUCT)),
    ),
    Block(
        "Mamba layer", f"{MAMBA}, Theorem 4.5", CONV + d(exp=1) + SELECT + d(std=4, oplus=1),
        (("projection in", PRODUCT), ("convolution", CONV), ("SiLU", SILU), ("selective SSM, as printed", SELECT),
         ("gate", d(std=1)), ("projection out", PRODUCT)),
        remark="the selective SSM is entered as d_select, where the theorem before calls its own depth d_SSM",
    ),
)  # fmt: skip


def rows() -> list[dict[str, str]]:
    """The table, one row a block, with the levels that the bound means for 4-bit floats."""
    table = []
    for block in BLOCKS:
        row = {"name": block.name, "paper": f"{block.paper} ({block.read})", "printed": f"printed: {block.printed}"}
        row["verdict"] = block.verdict
        if block.least is not None:
            row["least"] = f"side by side where nothing waits: {block.least}"
        if "d_g" not in str(block.printed):
            row["levels"] = f"levels of threshold gates for 4-bit floats, from the printed bound: {_levels(block)}"
        if block.remark:
            row["remark"] = block.remark
        table.append(row)
    return table


def _levels(block: Block) -> int:
    return block.printed.levels(F4)
