"""Match3 without its N^2 pairs: residues are counted, and counts of sums are circular convolutions, O(N + M log M).

The same convolution gives the normaliser of attention over pairs whose score is beta cos(2 pi (x_i + x_j + x_k) / M),
which depends on residues alone; sums over values that depend on residues alone go the same way.
"""

from __future__ import annotations

import numpy as np

from separatrix.core.errors import InputError

EXACT = 2**25  # N^2 of a convolution whose rounding to integers is safe by far in float64


def pair_counts(tokens: np.ndarray, modulus: int) -> np.ndarray:
    """(batch, modulus) integers: how many ordered pairs (j, k), j = k included, have each sum modulo `modulus`."""
    batch, n = tokens.shape
    if n * n > EXACT:
        raise InputError(f"n = {n}: counts of pairs are exact here up to n = {int(EXACT**0.5)}")
    rows = np.arange(batch)[:, None] * modulus
    counts = np.bincount((rows + tokens).ravel(), minlength=batch * modulus).reshape(batch, modulus)
    twice = np.fft.irfft(np.fft.rfft(counts, axis=1) ** 2, n=modulus, axis=1)
    return np.rint(twice).astype(np.int64)


def has_triple(tokens: np.ndarray, modulus: int) -> np.ndarray:
    """(batch, N) 1 where x_i + x_j + x_k = 0 modulo `modulus` for some j, k, repetitions allowed: Match3's answer.

    >>> has_triple(np.array([[1, 2, 4, 5], [1, 1, 1, 1]]), 7)
    array([[1, 1, 1, 1],
           [0, 0, 0, 0]])
    """
    counts = pair_counts(tokens, modulus)
    return (np.take_along_axis(counts, -tokens % modulus, axis=1) > 0).astype(np.int64)


def cosine_normaliser(tokens: np.ndarray, modulus: int, beta: float) -> np.ndarray:
    """(batch, N) sum over all pairs (j, k) of exp(beta (cos(2 pi (x_i + x_j + x_k) / M) - 1)), M the modulus.

    Relative error about 1e-15 times the number of pairs over the result; a result far below the number of pairs times
    1e-15 is lost, which happens only where no triple comes near 0 and beta is large.
    """
    counts = pair_counts(tokens, modulus)
    kernel = np.exp(beta * (np.cos(2 * np.pi * np.arange(modulus) / modulus) - 1.0))
    # sum_s counts[s] kernel[x + s]: a correlation
    sums = np.fft.irfft(np.conj(np.fft.rfft(counts, axis=1)) * np.fft.rfft(kernel), n=modulus, axis=1)
    return np.take_along_axis(sums, tokens, axis=1)
