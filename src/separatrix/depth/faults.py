"""One-bit faults in a circuit: does the test set notice, and where it does not, is the fault harmless?"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from separatrix.depth.circuit import Circuit, flatten
from separatrix.depth.equivalence import compare
from separatrix.depth.evaluate import Evaluator
from separatrix.depth.rows import segment_sum
from separatrix.depth.solve import Solver


@dataclass(frozen=True, slots=True)
class Fault:
    """Threshold `index` moved by `change`, or weight `index` of a term: `change` added (never to 0: that is a cut)."""

    kind: str
    index: int
    change: int

    def apply(self, circuit: Circuit) -> Circuit:
        """The circuit with the fault."""
        name = "gate_threshold" if self.kind == "threshold" else "term_weight"
        array = getattr(circuit, name).copy()
        array[self.index] += self.change
        faulty = replace(circuit, **{name: array})
        ptr, _, weight = flatten(faulty, np.arange(faulty.forms))  # the bounds that were promised hold no longer
        low, high = segment_sum(ptr, np.minimum(weight, 0)), segment_sum(ptr, np.maximum(weight, 0))
        return replace(faulty, form_low=low, form_high=high)


@dataclass(frozen=True, slots=True)
class Survey:
    """Numbers of faults caught by evaluation, shown harmless or harmful by a solver, and left open."""

    caught: int
    harmless: int
    missed: int
    open: int

    @property
    def settled(self) -> float:
        """Share of faults that were caught or proved harmless."""
        return (self.caught + self.harmless) / max(1, self.caught + self.harmless + self.missed + self.open)


def faults(circuit: Circuit, rng: np.random.Generator, count: int) -> list[Fault]:
    """Thresholds by one, and weights by the flip of one of their bits or of their sign, drawn without repetition."""
    every = [Fault("threshold", g, c) for g in range(circuit.gates) for c in (-1, 1)]
    for k, weight in enumerate(int(w) for w in circuit.term_weight.tolist()):
        every.append(Fault("weight", k, -2 * weight))
        every += [Fault("weight", k, 1 if weight >= 0 else -1)]
        every += [Fault("weight", k, -(1 << b) if weight > 0 else 1 << b) for b in range(abs(weight).bit_length())
                  if abs(weight) >> b & 1]  # fmt: skip
    chosen = rng.permutation(len(every))[:count]
    return [every[k] for k in chosen.tolist()]


def survey(
    circuit: Circuit, some: list[Fault], tests: np.ndarray, seconds: float = 5.0, solver: Solver = "exact",
    exhaust: bool = False, progress: Callable[[str], None] = lambda _: None,
) -> Survey:  # fmt: skip
    """Evaluates every faulty circuit on `tests` (lanes, inputs); asks a solver, `seconds` each, about the others.

    exhaust: where the inputs are few, all of them are tried before the solver.
    """
    right = Evaluator(circuit)(tests)
    counts = {"equal": 0, "different": 0, "unknown": 0}
    caught = 0
    for k, fault in enumerate(some):
        progress(f"fault {k + 1} of {len(some)}")
        faulty = fault.apply(circuit)
        if (Evaluator(faulty)(tests) != right).any():
            caught += 1
        else:
            counts[compare(circuit, faulty, seconds, solver=solver, exhaust=exhaust).verdict] += 1
    return Survey(caught, counts["equal"], counts["different"], counts["unknown"])
