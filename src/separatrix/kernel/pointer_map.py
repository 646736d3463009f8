"""The first map of pointer-set models, as defined in exact real arithmetic, enclosed in balls.

Keys are the stored numbers; the query of a pointer set is computed from them (or from the angles 2 pi j / N) by the
definition in `core.arch.PointerSet`, for many sets at once.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping

import numpy as np

from separatrix.core.arch import PointerSet
from separatrix.core.errors import RejectedError, UnknownError
from separatrix.kernel.balls import Ball, U, sum_high, up

MOST_POINTERS = 16  # Gram systems and polynomials beyond this size are not enclosed


def query_width(first: PointerSet) -> int:
    """Numbers in the query block of the stream."""
    return first.key_width * (first.pointers if first.query == "slots" else 1)


def queries(first: PointerSet, tensors: Mapping[str, np.ndarray], sets: np.ndarray) -> Ball:
    """(sets, query_width) of pointer sets (sets, q), before the temperature; stored keys only."""
    if first.keys != "stored":
        raise UnknownError("queries of integer keys are too long for balls")
    if first.pointers > MOST_POINTERS and first.query != "slots":
        raise UnknownError(f"queries of more than {MOST_POINTERS} pointers are not enclosed")
    keys = Ball.exact(tensors["embed.keys"])
    match first.query:
        case "least-norm":
            return least_norm(keys[sets])
        case "sum":
            ones = Ball.exact(np.ones((len(sets), 1, sets.shape[1])))
            return (ones @ keys[sets])[:, 0]
        case "slots":
            return Ball(*(part[sets].reshape(len(sets), -1) for part in (keys.mid, keys.rad)))
        case "trigonometric":
            if first.key_width != 2 * first.pointers:
                raise RejectedError("trigonometric queries are 2 q numbers, and the keys are not")
            return trigonometric(first.positions, sets)
    raise UnknownError(f"{first.query} queries need integer keys")


def least_norm(rows: Ball) -> Ball:
    """(sets, m): U^T (U U^T)^-1 1 for each U = rows[i] (q, m); RejectedError where U U^T may be singular.

    With M = U U^T and R a float inverse of it: if |I - R M| <= E < 1 (row-sum norm), M is invertible and, for any
    x, M^-1 1 - x = (R M)^-1 R (1 - M x) is at most |R (1 - M x)| / (1 - E) in every entry. Take x = R 1.
    """
    q = rows.mid.shape[1]
    gram = rows @ Ball(rows.mid.swapaxes(1, 2), rows.rad.swapaxes(1, 2))
    try:
        inverse = Ball.exact(np.linalg.inv(gram.mid))
    except np.linalg.LinAlgError:
        raise RejectedError("the keys of a pointer set are linearly dependent") from None
    ones, eye = (Ball.exact(np.broadcast_to(a, (len(rows.mid), *a.shape))) for a in (np.ones((q, 1)), np.eye(q)))
    x = Ball.exact(inverse.mid.sum(axis=2, keepdims=True))
    defect = _row_sums(eye - inverse @ gram)
    residual = inverse @ (ones - gram @ x)
    size = (np.abs(residual.mid) + residual.rad).max(axis=(1, 2))
    if not (np.isfinite(inverse.mid).all() and (defect < 0.5).all() and np.isfinite(size).all()):
        raise RejectedError("the keys of a pointer set are not proved to be linearly independent")
    error = up(size / (1.0 - defect), 8)  # 1 - defect >= 1/2: the quotient errs by a few units
    solution = Ball(x.mid[:, None, :, 0], np.broadcast_to(error[:, None, None], (len(error), 1, q)))
    return (solution @ rows)[:, 0]


def _row_sums(matrices: Ball) -> np.ndarray:
    """(count,) above the greatest row sum of absolute values."""
    return sum_high(up(np.abs(matrices.mid) + matrices.rad), axis=2).max(axis=1)


def trigonometric(n: int, sets: np.ndarray) -> Ball:
    """(sets, 2 q): -(a_1, b_1, .., a_q, b_q) of prod_j (1 - cos(t - 2 pi j/n)) / 2 = a_0 + sum a_k cos kt + b_k sin kt.

    A factor is 1/2 - (e^{i theta} e^{-it} + e^{-i theta} e^{it}) / 4; coefficients p_k of e^{ikt}, k = -d .. d.
    """
    cosine, sine = unit_circle(n)
    half, quarter = Ball.exact(np.float64(0.5)), Ball.exact(np.float64(0.25))
    real, imaginary = Ball.exact(np.ones((len(sets), 1))), Ball.exact(np.zeros((len(sets), 1)))
    for i in range(sets.shape[1]):
        c, s = cosine[sets[:, i], None], sine[sets[:, i], None]
        # e^{-i theta} p_{k-1} and e^{i theta} p_{k+1}
        before = real * c + imaginary * s, imaginary * c - real * s
        after = real * c - imaginary * s, imaginary * c + real * s
        real, imaginary = (
            _shifted(p * half, 1) - (_shifted(b, 2) + _shifted(a, 0)) * quarter
            for p, b, a in zip((real, imaginary), before, after, strict=True)
        )
    q = sets.shape[1]
    minus_two = Ball.exact(np.float64(-2.0))
    a, b = real[:, q + 1 :] * minus_two, -(imaginary[:, q + 1 :] * minus_two)
    return Ball(*(np.stack(pair, axis=2).reshape(len(sets), -1) for pair in ((a.mid, b.mid), (a.rad, b.rad))))


def _shifted(p: Ball, by: int) -> Ball:
    """The coefficients in an array longer by 2, moved `by` places."""
    return Ball(*(np.pad(part, ((0, 0), (by, 2 - by))) for part in (p.mid, p.rad)))


BITS = 256


@functools.cache
def unit_circle(n: int) -> tuple[Ball, Ball]:
    """cos and sin of 2 pi j / n, j < n, from integers in units of 2^-256.

    Machin's series loses fewer than 2^12 units of the angle, at most 2 pi; Taylor's has fewer than 2^8 terms, and what
    is lost in one grows in later ones by e^(2 pi) < 2^10 at most: one step around the circle is known to 2^23 units.
    Each further step is a product of two complex numbers of modulus at most 1 + 2^-200 and loses 2^24 more, so that
    n <= 2^20 steps lose 2^44 units: less than 2^-211. Then the table is rounded to float64.
    """
    if n > 2**20:
        raise UnknownError("the circle is divided into at most 2^20 parts")
    one = 1 << BITS
    angle = 2 * (16 * _arctan(5, one) - 4 * _arctan(239, one)) // n
    c, s, term, k = 0, 0, one, 0
    while term:
        c, s = (c + (-term if k & 2 else term), s) if k % 2 == 0 else (c, s + (-term if k & 2 else term))
        k += 1
        term = term * angle // (k << BITS)
    x, y, points = one, 0, []
    for _ in range(n):
        points.append((x / one, y / one))  # correctly rounded
        x, y = (x * c - y * s) >> BITS, (x * s + y * c) >> BITS
    table = np.array(points)
    balls = Ball(table, up(np.abs(table) * U + 2.0**-211))
    return balls[:, 0], balls[:, 1]


def _arctan(inverse: int, one: int) -> int:
    """arctan(1 / inverse) in units of 1 / one, floored term by term."""
    power, total, k = one // inverse, 0, 1
    while power:
        total += power // k if k % 4 == 1 else -(power // k)
        power //= inverse * inverse
        k += 2
    return total
