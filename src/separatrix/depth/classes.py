"""Which complexity class a task is in, and what classes of models are in, each statement with its source."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

from separatrix.core.task import Task

Read = Literal["abstract", "statement", "recalled"]


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the table: what is said of whom, by whom, and how we know."""

    subject: str
    statement: str
    source: str
    read: Read

    def to_json(self) -> dict[str, str]:
        """Keys of `list classes`."""
        return {"name": self.subject, "statement": self.statement, "source": f"{self.source} ({self.read})"}


TABLE = (
    Row(
        "the classes",
        "NC0 < AC0 < TC0 <= NC1 <= L <= NL <= AC1 <= TC1 <= ... <= P, where < is strict; whether TC0 = NC1 is open",
        "Chen et al. 2025 (2412.06148), Fact 3.8; L and NL: textbook",
        "statement",
    ),
    Row(
        "unique-hard-attention transformers",
        "in AC0; with strict masking and no positions exactly the star-free languages",
        "Hao, Angluin, Frank 2022; Yang, Chiang, Angluin 2024 (2310.13897)",
        "recalled",
    ),
    Row("average-hard-attention transformers with floats", "in TC0", "Merrill, Sabharwal, Smith 2022", "recalled"),
    Row(
        "softmax transformers at log precision",
        "in L-uniform, then in DLOGTIME-uniform TC0 = FO(M)",
        "Merrill, Sabharwal 2023 (TACL; NeurIPS)",
        "abstract",
    ),
    Row(
        "softmax transformers at polynomial precision",
        "in DLOGTIME-uniform TC0 (poly(n)-bit floats, O(1) layers); also "
        "exact average-hard attention, and softmax to absolute error 2^-poly(n)",
        "Chiang 2025 (2409.13629)",
        "abstract",
    ),
    Row(
        "RoPE transformers",
        "in DLOGTIME-uniform TC0 (poly(n)-bit floats, O(1) layers, width O(n)); so not Boolean formula "
        "value nor arithmetic formulas unless TC0 = NC1",
        "Chen et al. 2024 (2411.07602)",
        "abstract",
    ),
    Row("RoPE tensor attention", "in DLOGTIME-uniform TC0", "Chen et al. 2024 (2412.18040)", "abstract"),
    Row(
        "transformers at constant precision",
        "constant depth and polynomial width: AC0; T steps of chain of thought and "
        "width O(log n) simulate circuits of size T",
        "Li et al. 2024 (2402.12875)",
        "abstract",
    ),
    Row(
        "decoders with chain of thought",
        "linearly many steps (projected pre-norm): all regular languages, inside "
        "context-sensitive; polynomially many (generalised pre-norm): exactly P",
        "Merrill, Sabharwal 2024 (2310.07923)",
        "abstract",
    ),
    Row(
        "padded and looped transformers",
        "polynomial padding: exactly FO-uniform TC0 (average-hard, masked pre-norm); and "
        "log^d n loops: FO-uniform TC^d",
        "Merrill, Sabharwal 2025 (2505.18948)",
        "abstract",
    ),
    Row(
        "padded transformers of any width",
        "constant precision: L-uniform AC0; growing precision: L-uniform TC0; soft and average-hard attention alike",
        "2605.30523",
        "abstract",
    ),
    Row(
        "transformers of depth log n",
        "all regular languages and graph connectivity",
        "Merrill, Sabharwal 2025 (2503.03961)",
        "abstract",
    ),
    Row(
        "fixed-precision softmax transformers",
        "strict mask, no positions: temporal logic with `past` only; rounding "
        "outside attention: C-RASP, a strict hierarchy in depth",
        "2505.23623; 2506.16055",
        "abstract",
    ),
    Row(
        "state-space models and Mamba",
        "S4 and S6 at log precision: L-uniform TC0; at polynomial precision DLOGTIME-uniform TC0",
        "Merrill, Petty, Sabharwal 2024 (2404.08819); Chen et al. 2025 (2412.06148)",
        "abstract",
    ),
    Row(
        "linear recurrences by their eigenvalues",
        "only positive ones: no parity at finite precision; products of "
        "I - b v v^T with eigenvalues in [-1, 1]: every regular language, so S5 words too",
        "Grazzi et al. 2025 (2411.12537)",
        "abstract",
    ),
    Row(
        "linear recurrences by their transitions",
        "log-depth arithmetic circuits; permutation-diagonal: NC1-complete; "
        "diagonal plus low rank (DeltaNet, RWKV-7): PNC1-complete; nonlinear: L-complete problems, at polynomial "
        "precision P-complete",
        "2603.03612",
        "abstract",
    ),
    Row(
        "nonlinear recurrences at finite precision",
        "exactly the regular languages (LSTMs at log precision: counters too)",
        "Weiss, Goldberg, Yahav 2018; Merrill et al. 2020",
        "recalled",
    ),
    Row(
        "Boolean formula value, words over A5 and S5",
        "NC1-complete; arithmetic formulas over fixed finite structures are in "
        "NC1; words over solvable groups are in ACC0",
        "Buss 1987; Barrington 1989; Buss et al. 1992; Barrington, Therien 1988",
        "recalled",
    ),
    Row(
        "parity at depth d",
        "needs n^(1 + c^-d) edges in threshold circuits",
        "Impagliazzo, Paturi, Saks 1997",
        "abstract",
    ),
    Row("division, iterated products", "in DLOGTIME-uniform TC0", "Hesse, Allender, Barrington 2002", "abstract"),
)

CONSTANT_DEPTH = {
    "transformer": "Chiang 2025; with rotary positions Chen et al. 2024",
    "ssm": "Merrill, Petty, Sabharwal 2024; Chen et al. 2025",
    "mamba": "Merrill, Petty, Sabharwal 2024; Chen et al. 2025",
}  # families whose models of constant depth, polynomial width and poly(n)-bit numbers are in uniform TC0


@dataclass(frozen=True, slots=True)
class Placement:
    """Where a family of problems, one for every n, stands.

    Attributes:
        upper: the smallest class that it is known to be in.
        complete: whether it is complete for `upper` (under AC0 reductions).
        outside: the largest class that it is known to be outside of; empty where none is known.
        unless: the equation of classes under which it would be in TC0 after all; empty where it is in TC0.
        source: who shows it.
    """

    upper: Literal["AC0", "ACC0", "TC0", "NC1"]
    complete: bool
    outside: str
    unless: str
    source: str

    def __str__(self) -> str:
        words = f"{self.upper}-complete" if self.complete else f"in {self.upper}"
        if self.unless:
            words += f", so outside TC0 unless {self.unless}"
        if self.outside:
            words += f", not in {self.outside}"
        return f"{words} ({self.source})"


IN_AC0 = {
    "index-lookup": "a multiplexer",
    "match2": "an OR over pairs of additions of O(log n) bits",
    "match3": "an OR over triples of additions of O(log n) bits",
    "function-composition": "a multiplexer of multiplexers",
    "relation-composition": "an OR of ANDs",
    "match-sums": "an OR over tuples of additions of O(log n) bits",
    "match3-bigram": "an OR over pairs of neighbours of additions of O(log n) bits",
    "match3-local": "an OR over triples of additions of O(log n) bits",
    "equality": "an AND of comparisons",
    "associative-recall": "an OR over positions",
    "no-flag": "an OR",
}


def placement(task: Task) -> Placement | None:
    """The class of a task as n grows, its parameters fixed; None where this table does not place it."""
    values = task.parameters()
    match task.name:
        case "boolean-formula":
            return Placement("NC1", True, "", "TC0 = NC1", "Buss 1987")
        case "arithmetic-formula":  # 1 + (m - 1) x and * (or min and +, on 0 and infinity) hold Boolean formulas
            return Placement("NC1", True, "", "TC0 = NC1", "Buss, Cook, Gupta, Ramachandran 1992; hardness: Buss 1987")
        case "word-problem":
            if values["group"] in ("a5", "s5"):
                return Placement("NC1", True, "", "TC0 = NC1", "Barrington 1989; the group is not solvable")
            known = "Barrington, Therien 1988, the group is solvable; outside AC0: Furst, Saxe, Sipser 1984"
            return Placement("ACC0", False, "AC0", "", known)
        case "majority":
            return Placement("TC0", True, "AC0", "", "the definition of TC0; outside AC0: Furst, Saxe, Sipser 1984")
        case "dyck":
            return Placement("AC0", False, "", "", "bounded depth: star-free, hence first-order definable")
    name = task.name if task.name in IN_AC0 else re.sub(r"-(mismatch|bigram)$", "", task.name)
    return Placement("AC0", False, "", "", IN_AC0[name]) if name in IN_AC0 else None


def notes(task: Task, arch: str) -> tuple[str, ...]:
    """What `ask` says of a task's class, and what that means for models of family `arch` as n grows."""
    found = placement(task)
    if found is None:
        return ()
    lines = [f"complexity: {task.name} is {found}"]
    if found.unless and arch in CONSTANT_DEPTH:
        lines.append(
            f"complexity: {arch} models of constant depth, polynomial width and poly(n)-bit numbers are in TC0 "
            f"({CONSTANT_DEPTH[arch]}), so none computes it for every n unless {found.unless}; "
            "this rules out no fixed n"
        )
    return tuple(lines)
