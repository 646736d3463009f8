"""Witness panels: one input through one model, number by number."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from separatrix import can
from separatrix.atlas.evidence import prove_witness
from separatrix.core.arch import Attention
from separatrix.draw import AttentionFigure
from separatrix.kernel import judge_file
from separatrix.models import Model, evaluate
from separatrix.models.evaluate import attention_weights
from separatrix.tasks.index_lookup import IndexLookup

WORD = "separatrix"
LETTERS = "abcdefghijklmnopqrstuvwxyz"


def lookup_figure(folder: Path, query: int = 4) -> AttentionFigure:
    """The word `separatrix` through the quadratic-key model; all numbers are the model's own."""
    task, n = IndexLookup(symbols=len(LETTERS)), len(WORD)
    witness = can.registry.get("index-lookup-quadratic")
    proof = prove_witness(witness, task, n, folder / "certificates" / "panel-index-lookup")
    model = witness.build(task, n)
    tokens = np.array([LETTERS.index(c) for c in WORD] + [task.symbols + query])
    rows = [np.concatenate([tokens[:-1], [task.symbols + i]]) for i in range(n)]
    matrix = [tuple(attention_weights(model, row[None], None, n)[0, 0].tolist()) for row in rows]
    keys, score, values, needed = _numbers(model, tokens)
    weights = matrix[query]
    total = sum(np.exp(score - score.max()))
    lines = [(f"key {k + 1}", tuple(f"{v:g}" for v in keys[:, k])) for k in range(keys.shape[1])]
    lines.append(("score", tuple(f"{s - score.max():g}".replace("-", "−") for s in score)))
    lines.append(("exp(score)", tuple(_exp(s - score.max()) for s in score)))
    lines.append((f"weight: divided by {total:.4f}", tuple("0" if w < 0.0005 else f"{w:.3f}" for w in weights)))
    for b in range(values.shape[1]):
        bits = (f"{v:+.0f}".replace("-", "−").replace("+0", "0") for v in values[:, b])
        lines.append((f"value: bit {b + 1}", tuple(bits)))
    answer = LETTERS[int(evaluate(model, tokens[None], queries=[n])[0, 0].argmax())]
    check = None if proof.certificate is None else judge_file(proof.certificate)
    return AttentionFigure(
        title="Index lookup in one attention layer: quadratic keys",
        subtitle=f"Input **{' '.join(WORD)}**, then *q* = {query + 1}. The layer looks at positions, not at symbols.",
        tokens=tuple(WORD),
        query_label=f"*q* = {query + 1}",
        weights=tuple(weights),
        rows=tuple(lines),
        headline="Proved for every input" if check is not None and check.accepted else "Not proved",
        facts=(
            ("inputs covered", f"{len(LETTERS)}^{{{n}}} × {n}"),
            ("least target weight", f"{min(row[i] for i, row in enumerate(matrix)):.4f}"),
            ("needed for every bit", f"{needed:.4f}"),
            ("width of the stream", str(model.arch.width)),
            ("significand bits", str(witness.size(task, n).precision)),
            ("checked by the kernel", "–" if check is None else f"{check.seconds:.2f} s"),
        ),
        answer=answer,
        highlighted=query,
        matrix=tuple(matrix),
        footnote=("Scores are shown less the row's largest; the last column is the query token itself.",),
    )


def _numbers(model: Model, tokens: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray, float]:
    """Keys, scores and values of one input, and the target weight beyond which every bit is right."""
    layer, t = model.arch.layers[0], model.tensors
    assert isinstance(layer, Attention)
    x = t["embed.token"][tokens] + t["embed.position"]
    keys = x @ t["layers.0.key"][0]
    score = keys @ (x[-1] @ t["layers.0.query"][0]) * layer.scale
    return keys, score, x @ t["layers.0.value"][0], 0.5


def _exp(score: float) -> str:
    """e^score; far below one as a power of ten, from the score, since the number itself may underflow."""
    if score > -7:
        return f"{np.exp(score):.3f}"
    return f"10^{{−{-score / np.log(10):.0f}}}"
