"""Hints: a code or a gadget that somebody believes in, from a file; a certificate is made of it, and then checked.

A JSON object. A code: {"code": {"cut": 8, "base": [symbols], "bits": [{"position": 0, "low": 0, "high": 1, "changes":
{"8": 3}, "query": 8, "value": 1}, ..]}}; Alice's position holds low or high, Bob makes the changes, and the answer
`value` at his query means 1. A gadget: {"gadget": {"join": "and", "value": 1, "base": [symbols], "hers": [[0], ..],
"his": [[8], ..], "her_words": [[0], [1]], "his_words": [[0], [1]], "table": [[1, 0], [0, 1]], "cut": 8}}. Without a
"cut" the claim is about one attention layer. Nothing in a hint is trusted.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from separatrix.cannot.engine.decoding import Guess, decoding_certificate, expected
from separatrix.cannot.engine.gadget import Gadget, gadget_certificate
from separatrix.core.certificate import Certificate
from separatrix.core.errors import InputError, SeparatrixError
from separatrix.core.files import read_bytes, strict_json
from separatrix.core.seeds import child
from separatrix.core.task import Task
from separatrix.kernel.gadget import Blocks


def hinted(task: Task, n: int, path: Path) -> Certificate:
    """The certificate that the file hints at; InputError that names what is missing or of the wrong form."""
    hint = strict_json(read_bytes(path), str(path))
    try:
        match hint:
            case {"code": dict(code)} if len(hint) == 1:
                return _code(task, n, code)
            case {"gadget": dict(gadget)} if len(hint) == 1:
                return _gadget(task, n, gadget)
    except KeyError as error:
        raise InputError(f"--hint {path}: {error.args[0]!r} is missing") from error
    except (TypeError, ValueError, IndexError) as error:
        if isinstance(error, SeparatrixError):
            raise
        raise InputError(f"--hint {path}: {error}") from error
    raise InputError(f'--hint {path}: write one object, {{"code": ..}} or {{"gadget": ..}}')


def _code(task: Task, n: int, code: dict[str, Any]) -> Certificate:
    base = np.array(code["base"], dtype=np.int64)
    if base.shape != (task.domain(n).positions,):
        raise InputError(f"a base word of {task.domain(n).positions} symbols is needed, not of shape {base.shape}")
    guesses = [
        Guess(
            int(bit["position"]),
            int(bit["low"]),
            int(bit["high"]),
            tuple((int(place), int(symbol)) for place, symbol in bit["changes"].items()),
            int(bit["query"]),
            float(bit["value"]),
        )
        for bit in code["bits"]
    ]
    if not guesses or any(guess.query not in task.queries(n) for guess in guesses):
        raise InputError("a code needs bits, and each asks at a position that is scored")
    errors = expected(task, n, base, guesses, child(0, "hint"))
    return decoding_certificate(task, n, base, guesses, code.get("cut"), errors)


def _gadget(task: Task, n: int, given: dict[str, Any]) -> Certificate:
    names = ("hers", "his", "her_words", "his_words", "table", "base")
    arrays = {name: np.array(given[name], dtype=np.int64) for name in names}
    if any(arrays[name].ndim != 2 for name in names[:-1]) or arrays["base"].shape != (task.domain(n).positions,):
        raise InputError("blocks, words and the table of a gadget are lists of lists, and the base word is one list")
    blocks = Blocks(task.queries(n)[-1], given["join"], int(given["value"]), **arrays)
    return gadget_certificate(task, n, Gadget(blocks, blocks.rank()), given.get("cut"))
