"""Accidents: bytes of a certificate's files change, or its ends are lost, and the hashes stay."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from separatrix.kernel import judge_file


def none_is_accepted(path: Path, rng: np.random.Generator, places: int) -> None:
    """Changes up to so many bytes of every file beside the certificate at `path`, one by one, and cuts each file."""
    assert judge_file(path).accepted
    for file in sorted(path.parent.iterdir()):
        data = file.read_bytes()
        for at in rng.choice(len(data), min(len(data), places), replace=False).tolist():
            changed = bytearray(data)
            changed[at] ^= int(rng.integers(1, 256))
            file.write_bytes(bytes(changed))
            assert not judge_file(path).accepted, (file.name, at)
        for cut in (0, 1, len(data) // 2, len(data) - 1):
            file.write_bytes(data[:cut])
            assert not judge_file(path).accepted
        file.write_bytes(data)
    assert judge_file(path).accepted
