"""Three free or one-level steps from which all compiled arithmetic is made (Siu & Bruck 1991, and folklore).

* Any function f of a form S costs one level: f(S) = f(low) + sum_v (f(v) - f(v-1)) [S >= v]; its value is a form.
* Bit j of S >= 0 is the form sum_k (-1)^(k+1) [S >= k 2^j]: the level that adds up is never built.
* Rounding, clipping, quotients are thermometers [S >= t_1], [S >= t_2], ..: the code is their sum.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from separatrix.depth.builder import Builder
from separatrix.depth.forms import Forms
from separatrix.depth.rows import exact


def steps(
    b: Builder, forms: Forms, thresholds: np.ndarray, op: str = "steps", place: Sequence[np.ndarray | int] = ()
) -> np.ndarray:
    """(..., K) wires [form >= thresholds[..., k]]: one level. `place` gives (layer, head, i, j, unit) of each form."""
    fields = [np.asarray(p)[..., None] for p in place] + [np.asarray(-1)] * (5 - len(place))
    count = np.shape(thresholds)[-1]
    return b.gate(forms[..., None], thresholds, op, (*fields, np.arange(1, count + 1)))


def lookup(b: Builder, wires: np.ndarray, values: np.ndarray | Sequence[int]) -> Forms:
    """The table value values[c], c = number of thermometer wires that are 1: a form, no level.

    Args:
        wires: (..., K) with wires[k] >= wires[k+1] on every input.
        values: (K + 1,) or (..., K + 1) integers.
    """
    table = exact(values)
    low, high = exact(table.min(axis=-1)), exact(table.max(axis=-1))
    return b.forms(wires, np.diff(table, axis=-1), table[..., 0], low, high)


def function(b: Builder, forms: Forms, f: dict[int, int] | Sequence[int], op: str, place: Sequence = ()) -> Forms:
    """f(value) for forms that all lie within 0 .. len(f) - 1 (or within the keys of f): one level."""
    low = min(f) if isinstance(f, dict) else 0
    table = [f[v] for v in sorted(f)] if isinstance(f, dict) else list(f)
    changes = [v for v in range(1, len(table)) if table[v] != table[v - 1]]
    wires = steps(b, forms, np.array([low + v for v in changes], dtype=np.int64), op, place)
    return lookup(b, wires, [table[0]] + [table[v] for v in changes])


def telescoped_bit(b: Builder, forms: Forms, j: int, op: str = "bit", place: Sequence = ()) -> Forms:
    """Bit j of the value modulo 2^(j+1), as a form over one level of gates; negative values are shifted first."""
    least = int(min(forms.low.reshape(-1).tolist(), default=0))
    if least < 0:
        forms = forms + (-(least >> (j + 1)) << (j + 1))
    most = int(max(forms.high.reshape(-1).tolist(), default=0))
    count = most >> j
    wires = steps(b, forms, exact([k << j for k in range(1, count + 1)]), op, place)
    signs = np.where(np.arange(count) % 2 == 0, 1, -1)
    return b.forms(wires, signs, 0, 0, 1)


def integer(b: Builder, wires: np.ndarray, signed: bool = False) -> Forms:
    """The integer written by (..., p) bit wires, lowest first (two's complement when signed): free."""
    weights = [2**k for k in range(np.shape(wires)[-1])]
    if signed:
        weights[-1] = -weights[-1]
    return b.forms(wires, exact(weights))


def materialise(b: Builder, forms: Forms, op: str = "materialise") -> np.ndarray:
    """Wires of forms whose values are 0 and 1."""
    return b.gate(forms, 1, op)
