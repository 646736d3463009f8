"""What training costs before it is paid for: numbers kept and arithmetic done by one step of one model, by formula.

Rough (within a small factor): for the choice of how many models train at once, for `--dry-run`, and to refuse what does
not fit into memory. Layers of kinds that are not known here count as recurrent ones.
"""

from __future__ import annotations

import math
import os
from pathlib import Path

from separatrix.core.arch import Arch, Attention, FeedForward, HigherOrder, LayerNorm, Strassen
from separatrix.core.config import AnyArch
from separatrix.core.kernelised import Kernelised
from separatrix.core.numeric import Numeric, NumericLayer
from separatrix.core.positional import Positional, PositionalLayer
from separatrix.core.recurrent import output_width, state_width
from separatrix.core.shapes import tensor_shapes
from separatrix.learn.recipe import Recipe
from separatrix.learn.run import Run


def weights(arch: AnyArch) -> int:
    """Numbers that a model stores."""
    return sum(math.prod(shape) for shape in tensor_shapes(arch).values())


def member_bytes(run: Run) -> int:
    """Memory of one model in training: weights, gradient and moments, what a backward pass needs, fixed samples."""
    recipe, positions = run.recipe, run.make_task().domain(run.n).positions
    stock = 8 * (recipe.samples + 2 * recipe.validation) * positions * _reads(run.arch)
    return 4 * (6 * weights(run.arch) + 2 * kept(run.arch, positions, recipe)) + stock


def kept(arch: AnyArch, positions: int, recipe: Recipe) -> int:
    """Numbers of a forward pass that its backward pass reads, the larger of a batch and a quarter of a check."""
    batch, tokens = max(recipe.batch, recipe.validation // 4), positions + int(arch.blank)
    if isinstance(arch, Positional | Numeric):
        tokens = arch.nodes
    each, scores = 2 * arch.width + arch.readout.outputs, 0  # numbers a token, numbers a batch beside them
    for layer in arch.layers:
        match layer:
            case FeedForward():
                each += 2 * layer.hidden + arch.width
            case LayerNorm():
                each += 2 * arch.width
            case Attention() | HigherOrder() | Strassen() | Kernelised():
                each += 2 * layer.heads * (layer.key_width + layer.value_width) + arch.width
                scores += 2 * batch * layer.heads * tokens * tokens
            case PositionalLayer() | NumericLayer():
                each += 2 * layer.heads * (layer.key_width + layer.value_width) + 3 * arch.width + 2 * sum(layer.hidden)
                scores += (1 if isinstance(arch, Positional) else 2 * batch) * layer.heads * tokens * tokens
            case _:
                each += 10 * max(output_width(layer), state_width(layer)) + arch.width
    return batch * tokens * each + scores


def work(run: Run) -> float:
    """Multiplications of a training step, for comparisons between models of one family."""
    positions = run.make_task().domain(run.n).positions
    shapes = tensor_shapes(run.arch)
    tables = sum(math.prod(shape) for name, shape in shapes.items() if name in ("embed.token", "embed.position"))
    return 3.0 * run.recipe.batch * positions * (weights(run.arch) - tables) + 4.0 * kept(
        run.arch, positions, run.recipe
    )


def family(run: Run) -> tuple[str, ...]:
    """Models of which one's time tells of another's."""
    return (run.arch.kind, *dict.fromkeys(layer.kind for layer in run.arch.layers))


def free_bytes() -> int:
    """Memory that this machine can still give."""
    try:
        for line in Path("/proc/meminfo").read_text().splitlines():
            if line.startswith("MemAvailable:"):
                return 1024 * int(line.split()[1])
    except OSError:
        pass
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // 2
    except (ValueError, OSError):
        return 8 * 2**30


def _reads(arch: AnyArch) -> int:
    """Numbers of a token of the input, with its symbol."""
    if isinstance(arch, Positional | Numeric):
        return 1 + arch.reals
    return 1 + (getattr(arch.first, "reals", 0) + getattr(arch.first, "pointers", 0) if isinstance(arch, Arch) else 0)
