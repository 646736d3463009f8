"""Compiled programs as witnesses: prefix sums, extremes and medians, sorting, maximum subarray, reductions.

Back de Luca et al. 2025, Theorem 5.1: a program of R rounds, s words and k lanes becomes R layers of k heads on N + 1
nodes (`can.programs.direct`). No constant stands in these programs, so they are right at every scale of the input.
"""

from __future__ import annotations

from collections.abc import Callable

from separatrix.can.programs import library
from separatrix.can.programs.benes import SHARP, fixed_benes
from separatrix.can.programs.direct import BETA, compile_direct, program_size
from separatrix.can.programs.program import Program
from separatrix.can.witness import require, witness
from separatrix.core.size import Size
from separatrix.core.task import Task
from separatrix.models.model import Model

MOST = 2**10  # attention patterns are stored as (N + 1)^2 numbers a head
SOURCE = "Back de Luca, Giapitzakis, Yang, Veličković, Fountoulakis 2025, Theorem 5.1 (simulation of PCOC)"


def _enter(
    task: str, program: Callable[[int], Program], formula: str, most: int = MOST, construction: str = "program",
    beta: float = BETA,
) -> None:  # fmt: skip
    """Registers `<task>-<construction>`."""
    name = f"{task}-{construction}"

    def size(problem: Task, n: int) -> Size:
        problem.domain(n)
        require(n <= most, f"{name}: N = {n}; take N up to {most}")
        return program_size(program(n))

    @witness(name, task=task, source=SOURCE, formula=formula, size=size, method="positional", arch="positional")
    def build(problem: Task, n: int) -> Model:
        size(problem, n)
        return compile_direct(program(n), beta)


_enter("prefix-sums", library.prefix_sums, "⌈log₂ N⌉ layers of 1 head, stream of 1 word (Hillis and Steele 1986)")
_enter("prefix-minima", library.prefix_minima, "⌈log₂ N⌉ layers of 1 head, stream of 1 word")
_enter("prefix-maxima", library.prefix_maxima, "⌈log₂ N⌉ layers of 1 head, stream of 1 word")
_enter("sorting", library.sort, "L(L + 1)/2 layers of 2 heads, L = ⌈log₂ N⌉ (Batcher 1968)", 2**7)
_enter(
    "prefix-medians",
    library.prefix_medians,
    "⌈log₂ N⌉ + L(L + 1)/2 + 2 layers, L = ⌈log₂ 2N⌉, of up to 3N heads, 2N + 1 words; certified to N = 16",
    2**6,
)
_enter("maximum-subarray", library.maximum_subarray, "2⌈log₂ N⌉ + 1 layers of up to 6 heads, 6 words", 2**6)
_enter("total", library.total, "2⌈log₂ N⌉ layers of 1 head, stream of 1 word (a tree, up and down)", 2**8)
_enter("least", library.least, "⌈log₂ N⌉ layers of 1 head, stream of 1 word (all-reduce)", 2**8)
_enter("greatest", library.greatest, "⌈log₂ N⌉ layers of 1 head, stream of 1 word (all-reduce)", 2**8)


def _enter_benes(task: str, program: Callable[[int], Program], formula: str, most: int) -> None:
    """Registers `<task>-benes`: the theorem's budget, 2⌈log₂ N⌉ layers a round and 2 heads a lane, N a power of two."""
    text = f"{formula}, 2⌈log₂ N⌉ layers a round: Benes networks, settings in the weights; N a power of two"
    _enter(task, lambda n: fixed_benes(program(n)), text, most, "benes", SHARP)


_enter_benes("prefix-sums", library.prefix_sums, "⌈log₂ N⌉ rounds of 1 lane: 2 heads, 2 words", 2**6)
_enter_benes("least", library.least, "⌈log₂ N⌉ rounds of 1 lane: 2 heads, 2 words", 2**6)
_enter_benes("greatest", library.greatest, "⌈log₂ N⌉ rounds of 1 lane: 2 heads, 2 words", 2**6)
_enter_benes(
    "sorting",
    library.sort_in_turn,
    "L(L + 1)/2 rounds of 1 lane (and one layer more each), L = ⌈log₂ N⌉: 2 heads, 3 words",
    2**6,
)
