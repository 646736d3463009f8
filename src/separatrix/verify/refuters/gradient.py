"""Gradient search: the change of one token that lowers the margin most to first order (Ebrahimi et al. 2018, HotFlip).

A step is one gradient (three evaluations) and one forward pass for each of the changes that look best.
"""

from __future__ import annotations

import numpy as np

from separatrix.core.arch import Table
from separatrix.core.domain import Labels, PointerSets
from separatrix.verify.refuters.search import Search, registry

TRIED = 4  # changes checked for each gradient
PATIENCE = 3


@registry.register("gradient")
def gradient(search: Search) -> str | None:
    """From random inputs down the gradient of the margin in the token vectors, token by token."""
    if not isinstance(search.task.outputs(), Labels) or not isinstance(search.model.arch.first, Table):
        return "gradient search is for token tables and class labels"
    try:
        import torch

        from separatrix.models import nets
    except ImportError:
        return "gradient search needs torch"
    net = nets.load(search.model, torch.float64)
    if isinstance(net, nets.PositionalTransformer | nets.NumericTransformer):
        return "gradient search is for token tables"
    table = torch.from_numpy(search.model.tensors["embed.token"].astype(np.float64))
    while True:
        best = search.sample(1)
        value, idle = search.margins(best).min(), 0
        while idle < PATIENCE:
            search.spend(3)
            x = table[torch.from_numpy(best)].requires_grad_()
            logits = net.outputs(x, search.queries)[0]
            labels = torch.from_numpy(search.task.answer(best))[0]
            right = logits.gather(1, labels[:, None])[:, 0]
            rivals = logits.scatter(1, labels[:, None], -torch.inf)
            (slope,) = torch.autograd.grad((right - rivals.max(dim=1).values).min(), x)
            gain = (slope[0] @ table.T).numpy()  # (positions, vocabulary)
            gain = gain - np.take_along_axis(gain, best.T, axis=1)
            near = _flips(search, best[0], gain)
            margin = search.margins(near).min(axis=1) if len(near) else np.array([np.inf])
            idle += 1
            if margin.min() < value:
                best, value, idle = near[[margin.argmin()]], margin.min(), 0


def _flips(search: Search, word: np.ndarray, gain: np.ndarray) -> np.ndarray:
    """(at most TRIED, positions) the word with one token changed, most promising first, inputs of the task only."""
    found = []
    for at in np.argsort(gain, axis=None):
        j, symbol = divmod(int(at), gain.shape[1])
        alphabet = search.domain.alphabets[j]
        assert not isinstance(alphabet, PointerSets)
        if symbol == word[j] or symbol not in alphabet:
            continue
        other = word.copy()
        other[j] = symbol
        if search.domain.contains(other):
            found.append(other)
        if len(found) == TRIED:
            break
    return np.array(found).reshape(-1, len(word))
