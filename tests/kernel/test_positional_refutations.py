"""Attacks on refutations of positional transformers: changed programs and words, all hashes recomputed."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest

from kernel.test_positional import PROGRAMS, mutants, real_task
from separatrix.core.certificate import Certificate, Claim
from separatrix.core.guarantee import PROVED
from separatrix.core.task import Task
from separatrix.kernel import judge
from separatrix.kernel.arb import Engine
from separatrix.models.evaluate import evaluate
from separatrix.models.model import Model


def accepted(model: Model, task: Task, words: np.ndarray, query: int, engine: Engine) -> bool:
    """The kernel's word on a refutation."""
    evidence = {"reals": [float(word).hex() for word in words], "query": query}
    claim, kind = Claim(task.name, task.parameters(), len(words), "incorrect", "real"), "positional-counterexample"
    mine = Certificate(kind, claim, PROVED, task.source_sha256(), evidence, {}, model.reference())
    return judge(mine, model.arch, model.tensors, engine=engine).accepted


@pytest.mark.parametrize("engine", ["fast", "arb"])
def test_no_false_refutation_is_accepted_and_true_ones_are(engine: Engine) -> None:
    """Right and broken programs at corners, ties and random words; the truth by evaluation in float64."""
    seen: Counter[str] = Counter()
    for number, name in enumerate(sorted(PROGRAMS)):
        n, task, rng = 3, real_task(name), np.random.default_rng((number, 7))
        reals = task.domain(n).reals
        assert reals is not None
        eps, zeros = task.outputs().eps, np.zeros((2, n), dtype=np.int64)  # type: ignore[union-attr]
        made = [model for _, model in mutants(name, n, rng)]
        for model in [*made[:21:7], *made[21 :: 2 if engine == "fast" else 3]]:  # 21 of them are right
            if any(tensor.size and np.abs(tensor).max() > 1e6 for tensor in model.tensors.values()):
                continue  # float64 is no witness of what cancels there
            x = np.stack([reals.high * rng.choice([-1.0, 0.0, 1.0], n), rng.uniform(-reals.high, reals.high, n)])
            with np.errstate(all="ignore"):
                answers = evaluate(model, zeros, x[:, :, None])[:, :, 0]
            for words, row, right in zip(x, answers, task.answer(zeros, x[:, :, None])[:, :, 0], strict=True):
                apart = np.abs(row - right)  # every position is scored
                query = int(rng.choice([np.argmax(apart), rng.integers(n)]))
                off, took = apart[query], accepted(model, task, words, query, engine)
                if off < eps * (1 - 1e-6):
                    assert not took, (name, off)
                    seen["false"] += 1
                elif off > eps * (1 + 1e-3):
                    seen["true"] += 1
                    seen["accepted"] += took
    assert seen["false"] >= 100 and seen["true"] >= 100 and seen["accepted"] >= 0.9 * seen["true"], seen
