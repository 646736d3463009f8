"""The exact minimiser of one attention layer with one head: the worst input of every cell.

The sweep of the separable prover adds up per-position minima, so it finds a failing input of every cell that has one;
only the candidates that are then run on the whole model count as evaluations.
"""

from __future__ import annotations

import numpy as np

from separatrix.core.arch import Attention, Table
from separatrix.core.domain import Labels
from separatrix.verify.provers.sweep import sweep
from separatrix.verify.refuters.search import Search, registry


@registry.register("separable")
def separable(search: Search) -> str | None:
    """Minimises every cell's margin of one softmax head, worst cells first."""
    model, task = search.model, search.task
    layer = model.arch.layers[0]
    if len(model.arch.layers) != 1 or not isinstance(layer, Attention) or layer.heads != 1 or layer.mask != "none":
        return "the minimiser is for one unmasked attention layer with one head"
    if not isinstance(model.arch.first, Table) or not isinstance(task.outputs(), Labels):
        return "the minimiser is for token tables and class labels"
    if task.cells(search.n, search.queries[0]) is None:
        return f"no cells are known for {task.name}"
    with np.errstate(all="ignore"):
        found = sweep(model, task, search.n)
    for _, tokens, _ in found.candidates:
        if search.domain.contains(tokens):
            search.margins(tokens[None])
    return "no minimiser of a cell fails"
