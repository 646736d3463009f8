"""K models of one architecture as one computation: every stored tensor has a leading member axis.

The counterparts of `models.evaluate`, `models.recurrent`, `models.positional` and `models.numeric`, which stay the
reference. Member k of the result depends on member k of the tensors and of the inputs, and on nothing else.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from torch import Tensor

from separatrix.core.arch import Arch
from separatrix.core.config import AnyArch
from separatrix.core.numeric import Numeric
from separatrix.core.positional import Positional
from separatrix.core.recurrent import Recurrent
from separatrix.models.nets.ensembles.numeric import numeric_outputs
from separatrix.models.nets.ensembles.positional import positional_outputs
from separatrix.models.nets.ensembles.recurrent import recurrent_outputs
from separatrix.models.nets.ensembles.transformer import transformer_outputs


def outputs(
    arch: AnyArch,
    tensors: Mapping[str, Tensor],
    tokens: Tensor,
    reals: Tensor | None = None,
    queries: Sequence[int] | None = None,
) -> Tensor:
    """Outputs before any argmax.

    Args:
        tensors: (members, ...) each, by their stored names.
        tokens: (members, batch, positions) ids, or (members, batch, positions, q) pointers.
        reals: (members, batch, positions, dim), where the model reads real parts.
        queries: positions to read out; all by default.

    Returns:
        (members, batch, queries, outputs).

    Raises:
        InputError: a part of the architecture that ensembles do not have.
    """
    match arch:
        case Arch():
            return transformer_outputs(arch, tensors, tokens, reals, queries)
        case Recurrent():
            return recurrent_outputs(arch, tensors, tokens, queries)
        case Positional():
            return positional_outputs(arch, tensors, reals, queries)
        case Numeric():
            return numeric_outputs(arch, tensors, reals, queries)
