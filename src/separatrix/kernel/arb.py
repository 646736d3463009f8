"""The second engine: verdicts re-derived in ball arithmetic of any precision (Arb, through python-flint).

It shares with the float64 engine the task's cells and inputs, the reading of certificates, the algebra and all that is
exact (whole numbers, rationals), but no numeric code and no error terms. What 64 bits leave undecided is evaluated with
twice as many, up to 512. Kinds in EXACT are whole numbers and rationals throughout: under either engine they are
the same check. Where float64 balls reject a small `separable` certificate, or cannot evaluate a recurrent model for a
`counterexample`, and the certificate names Arb among what is trusted, the fast engine asks this one.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Literal

import numpy as np

from separatrix.core.arch import Table
from separatrix.core.domain import Labels, PointerSets
from separatrix.core.errors import InputError, RejectedError, SeparatrixError, UnknownError
from separatrix.core.recurrent import Recurrent
from separatrix.kernel.arb_cells import check_separable, is_small
from separatrix.kernel.arb_contract import check_contract
from separatrix.kernel.arb_decoding import check_decoding
from separatrix.kernel.arb_heads import check_heads, check_sums
from separatrix.kernel.arb_nets import Net, precision
from separatrix.kernel.arb_pairs import check_pairs
from separatrix.kernel.arb_pointers import check_pointer_counterexample, check_pointer_sets
from separatrix.kernel.arb_positional import check_positional, check_positional_counterexample
from separatrix.kernel.arb_reals import check_real_counterexample, check_real_outputs
from separatrix.kernel.arb_recurrent import RecurrentNet
from separatrix.kernel.arb_relu import check_relu
from separatrix.kernel.arb_senders import check_senders
from separatrix.kernel.arb_stored import check_stored
from separatrix.kernel.arb_tuples import check_tuples
from separatrix.kernel.case import Case

Engine = Literal["fast", "arb"]
NAME = "python-flint (Arb)"  # what a claim that was derived here trusts besides
MOST_INPUTS = 2**16
EXACT = (
    *("communication", "coordinates", "swap-rows", "pointer-rows", "first-layer-rank", "boxes", "reading"),
    *("gadget", "gadget-sampled", "birthday", "lists"),
    *("bits-exhaustive", "bits-counterexample", "bits-solver", "automaton"),
)


def derive(engine: Engine, kind: str, fast: Callable[[Case], str], case: Case, named: bool = False) -> tuple[str, bool]:
    """(the claim in a sentence, whether it rests on Arb), or an error; `fast` is the kind's float64 checker.

    named: whether the certificate says that Arb is trusted, without which the fast engine does not ask it.
    """
    if engine not in ("fast", "arb"):
        raise InputError(f"engine {engine!r} is none of fast, arb")
    if engine == "arb":
        if kind in EXACT:
            return f"{fast(case)} (exact; the engine does not matter)", False
        return _check(kind, case), True
    try:
        return fast(case), False
    except UnknownError:
        if kind != "counterexample" or case.recurrent() is None:
            raise
        if not named:  # sigmoids, or numbers too long to be exact
            raise RejectedError(f"this claim rests on {NAME}, and the certificate does not say so") from None
        return _check(kind, case), True
    except RejectedError:
        sentence = second_opinion(kind, case) if named else None
        if sentence is None:
            raise
        return sentence, True


def second_opinion(kind: str, case: Case) -> str | None:
    """The claim in a sentence where arb accepts what float64 balls rejected; None wherever it does not, or is slow."""
    if kind != "separable" or case.semantics.spec is not None:
        return None
    try:
        return check_separable(case) if is_small(case) else None
    except (SeparatrixError, ImportError):
        return None


def _check(kind: str, case: Case) -> str:
    if kind not in CHECKERS:
        raise UnknownError(f"{kind} certificates need the float64 engine")
    try:
        return CHECKERS[kind](case)
    except ImportError:
        raise UnknownError("the arb engine needs python-flint, which is not installed") from None


def check_head(case: Case) -> str:
    """Kind `separable`: product cells in real arithmetic as `arb_cells` has them, all others one by one."""
    tied = case.semantics.spec is not None or bool(case.arrays) or case.task.domain(case.n).constraint.kind != "product"
    for query in case.task.queries(case.n):
        tied = tied or any(group.constraint.kind != "product" for group in case.task.cells(case.n, query) or ())
    return check_sums(case) if tied else check_separable(case)


def check_counterexample(case: Case) -> str:
    """The input of the evidence is legal and the model's answer there is wrong (a tie is wrong)."""
    case.no_arrays()
    tokens, query = case.fields(tokens=list, query=int)
    row = np.array(tokens) if all(type(t) is int for t in tokens) else np.zeros(0, dtype=np.int64)
    net, queries = _net(case), case.task.queries(case.n)
    if not case.task.domain(case.n).contains(row) or query not in queries:
        raise RejectedError("the input is not one of the task's, or the position is not scored")
    label = int(case.task.answer(row[None])[0, queries.index(query)])
    if _is_right(net, row, query, label):
        raise RejectedError("the model's answer on this input is right")
    return f"the model errs at {case.where}: on a legal input, position {query}, {label} is right (arb)"


def check_exhaustive(case: Case) -> str:
    """Every input of a small product domain, one by one."""
    case.fields()
    case.no_arrays()
    case.model()
    domain, queries, net = case.task.domain(case.n), case.task.queries(case.n), _net(case)
    if any(isinstance(a, PointerSets) for a in domain.alphabets) or domain.constraint.kind != "product":
        raise UnknownError("the exhaustive check enumerates product domains of symbols")
    many = domain.positions > MOST_INPUTS or domain.log2_inputs() > np.log2(MOST_INPUTS)
    if domain.lengths or domain.reals is not None or many:
        raise UnknownError(f"the domain has more than {MOST_INPUTS} inputs, several lengths or real parts")
    count = 0
    for tokens in itertools.product(*(np.asarray(a).tolist() for a in domain.alphabets)):
        row = np.array(tokens)
        for query, label in zip(queries, case.task.answer(row[None])[0], strict=True):
            if not _is_right(net, row, query, int(label)):
                raise RejectedError(f"input {case.task.show(row)}: the answer at position {query} is wrong")
            count += 1
    if not count:
        raise RejectedError("the task scores no input at this length")
    return f"the model answers {case.where} right on every input ({count} answers enumerated, real arithmetic, arb)"


CHECKERS: dict[str, Callable[[Case], str]] = {
    "separable": check_head,
    "heads": check_heads,
    "relu": check_relu,
    "real-outputs": check_real_outputs,
    "real-counterexample": check_real_counterexample,
    "positional": check_positional,
    "positional-counterexample": check_positional_counterexample,
    "stored": check_stored,
    "pairs": check_pairs,
    "tuples": check_tuples,
    "pointer-sets": check_pointer_sets,
    "pointer-counterexample": check_pointer_counterexample,
    "senders": check_senders,
    "decoding": check_decoding,
    "contract": check_contract,
    "counterexample": check_counterexample,
    "exhaustive": check_exhaustive,
}


def _net(case: Case) -> Net | RecurrentNet:
    arch, outputs = case.recurrent() or case.model(), case.task.outputs()
    if not isinstance(outputs, Labels) or arch.readout.decision != "argmax" or arch.readout.outputs != outputs.k:
        raise RejectedError("the model's read-out does not fit the task")
    if isinstance(arch.first, Table) and case.task.domain(case.n).vocabulary > arch.first.vocabulary:
        raise RejectedError("the model does not know every token of the task")
    return RecurrentNet(arch, case.tensors) if isinstance(arch, Recurrent) else Net(arch, case.tensors)


def _is_right(net: Net | RecurrentNet, tokens: np.ndarray, query: int, label: int) -> bool:
    """Whether the label strictly beats every rival; UnknownError where 512 bits do not tell."""
    for bits in net.bits:
        with precision(bits):
            logits = net.logits(tokens, query)
            margins = [logits[label] - other for c, other in enumerate(logits) if c != label]
            if all(margin > 0 for margin in margins):
                return True
            if any(margin <= 0 for margin in margins):
                return False
    raise UnknownError(f"{net.bits[-1]} bits do not decide the answer at position {query}")
