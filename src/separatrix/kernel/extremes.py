"""Words that are maxima (or minima) of linear forms of the inputs, and how ReLU layers act on them, exactly."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING

import numpy as np

from separatrix.core.closed_form import ClosedForm, Extreme
from separatrix.core.errors import RejectedError, UnknownError
from separatrix.core.positional import Positional

if TYPE_CHECKING:
    from separatrix.kernel.positional import Step

GRID, LARGEST = 2.0**20, 2.0**30  # coefficients are multiples of 2^-20 below 2^30, so that floats add them exactly
MOST_FORMS = 2**14
MOST_ENTRIES = 2**27


@dataclass(frozen=True, slots=True)
class State:
    """words[node][coordinate]: (forms, 1 + n) coefficients, constant first; the word is their maximum.

    sign: -1 where the words are minima: the forms held are then those of minus the words.
    """

    words: list[list[np.ndarray]]
    sign: int

    def largest(self, scale: float) -> float:
        """A bound of |word| over all nodes, coordinates and inputs in [-scale, scale]."""
        most = 0.0
        for node in self.words:
            for forms in node:
                most = max(most, float((np.abs(forms[:, 0]) + np.abs(forms[:, 1:]).sum(axis=1) * scale).max()))
        return most * (1.0 + 2.0**-40)

    def after(self, steps: Sequence[Step]) -> State:
        """The words after a layer."""
        words, room = [], MOST_ENTRIES
        for step in steps:
            sources = [forms for node in step.sources for forms in self.words[node]]
            words.append([self._apply(form, sources) for form in step.forms])
            room -= sum(forms.size for forms in words[-1])
            if room < 0:
                raise UnknownError("the words depend on too many linear forms")
        return State(words, self.sign)

    def _apply(self, form, sources: list[np.ndarray]) -> np.ndarray:
        """The forms of form(u), u the words `sources` behind the constant."""
        if form.kinks and form.convex != (self.sign > 0):
            raise UnknownError("a node takes a minimum where the answer is a maximum, or the reverse")
        branches = form.branches()
        if branches is None:
            raise UnknownError("a node mixes maxima and minima")
        # in terms of the held words s u (s = sign): s f(u) = max over branches of (a_0 s, a_1, ..) . (1, s u)
        return distinct(np.concatenate([self._linear(row[0] * self.sign, row[1:], sources) for row in branches]))

    def _linear(self, constant: Fraction, row: Sequence[Fraction], sources: list[np.ndarray]) -> np.ndarray:
        total = np.zeros((1, sources[0].shape[1]))
        total[0, 0] = fair(constant)
        for coefficient, forms in zip(row, sources, strict=True):
            if not coefficient:
                continue
            if coefficient < 0 and len(forms) > 1:
                raise UnknownError("a node subtracts a maximum")
            if len(total) * len(forms) > MOST_FORMS:
                raise UnknownError("a word depends on too many linear forms")
            scaled = times(fair(coefficient), forms)
            total = distinct(guard((total[:, None] + scaled[None]).reshape(-1, total.shape[1])))
        return total

    def agrees(self, closed: Sequence[ClosedForm | None], weight: Sequence[Fraction], bias: Fraction) -> None:
        """RejectedError unless the read-out of node i is closed form i."""
        for i, form in enumerate(closed):
            assert isinstance(form, Extreme)
            found = self._linear(bias * self.sign, weight, self.words[i])
            wanted = distinct(np.pad(form.forms.astype(np.float64), ((0, 0), (1, 0))) * self.sign)
            if found.shape != wanted.shape or (found != wanted).any():
                raise RejectedError(f"without leaks, output {i} would not be the answer")


def start(arch: Positional, given: Sequence[Sequence[Fraction]], of: str) -> State:
    """The words of the first map: node i < n holds bias + linear x_i, a sink holds bias."""
    n, sign = arch.nodes - arch.sinks, 1 if of == "max" else -1
    words = []
    for node in range(arch.nodes):
        row = []
        for constant, slope in zip(*given, strict=True):
            form = np.zeros((1, 1 + n))
            form[0, 0] = fair(constant) * sign
            if node < n:
                form[0, 1 + node] = fair(slope) * sign
            row.append(form)
        words.append(row)
    return State(words, sign)


def fair(value: Fraction) -> float:
    """The same number as a float on the grid."""
    if abs(value) >= LARGEST or (value * int(GRID)).denominator != 1:
        raise UnknownError(f"coefficient {float(value):.6g} is not a multiple of 2^-20 below 2^30")
    return float(value)


def guard(forms: np.ndarray) -> np.ndarray:
    """The same forms; UnknownError unless they lie on the grid, where float sums are exact."""
    if not (np.abs(forms) < LARGEST).all() or (forms * GRID != np.rint(forms * GRID)).any():
        raise UnknownError("a coefficient is not a multiple of 2^-20 below 2^30")
    return forms


def times(coefficient: float, forms: np.ndarray) -> np.ndarray:
    """Their product; UnknownError unless it lies on the grid exactly, not only once it was rounded to a float."""
    steps = np.int64(coefficient * GRID) * (forms * GRID).astype(np.int64)  # modulo 2^64, in steps of 2^-40
    if (steps & (int(GRID) - 1)).any():
        raise UnknownError("a product of coefficients is not a multiple of 2^-20")
    return guard(coefficient * forms)


def distinct(forms: np.ndarray) -> np.ndarray:
    """The different rows, in order; -0 counts as 0."""
    return np.unique(forms + 0.0, axis=0) if len(forms) > 1 else forms + 0.0
