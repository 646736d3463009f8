"""Two attention layers and nothing else: copy what stands before, then ask for it (the induction head).

Layer 1: every position that holds a label fetches the code of the token before it (quadratic keys of positions, so
sharp that the rest of the input weighs e^-64), and every other one that of position 1, which has none. Layer 2:
score(i, j) = B <code i, fetched j> + shift j over codes of +-1 bits, where the shift of a position decides among equal
agreements, and moves all but labels out of the way; the value is the label at j.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from separatrix.core.arch import Arch, Attention, Readout, Residual, Table
from separatrix.core.size import Precision, Size
from separatrix.models.model import Model

SHARP = 64.0  # e^-64 < 2^-92: what layer 1 copies is off by less than its floats show


@dataclass(frozen=True, slots=True)
class Induction:
    """What the two layers work on.

    Attributes:
        codes: (vocabulary, bits) in +-1 of tokens that are asked for, 0 for others.
        labels: (vocabulary, label bits) of tokens that hold a label, 0 for others.
        step: B. shifts: (positions,); those of positions without a label are replaced by one below all agreements.
        holds: (positions,) which positions hold a label; position 1 does, and position 0 does not.
        rest: a position without a label whose shift stays, for queries that agree with nobody; or None.
        readout: (label bits, outputs). bias: (outputs,).
    """

    codes: np.ndarray
    labels: np.ndarray
    step: float
    shifts: np.ndarray
    holds: np.ndarray
    readout: np.ndarray
    bias: np.ndarray
    causal: bool = False
    rest: int | None = None

    def residual(self) -> Residual:
        """The named parts of the stream."""
        bits, label = self.codes.shape[1], self.labels.shape[1]
        return Residual.of(code=bits, before=bits, label=label, fetched=label, position=2, target=1, shift=1, one=1)

    def model(self) -> Model:
        """The transformer."""
        residual, bits, label = self.residual(), self.codes.shape[1], self.labels.shape[1]
        d, eye, n = residual.width, np.eye(residual.width), len(self.shifts)
        s = {name: residual.slice(name) for name, _, _ in residual.parts}
        token, place, t = np.zeros((len(self.codes), d)), np.zeros((n, d)), np.arange(n, dtype=np.float64)
        token[:, s["code"]], token[:, s["label"]] = self.codes, self.labels
        place[:, s["position"]] = np.stack([t, t * t], axis=1)
        place[:, s["target"]] = np.where(self.holds, t - 1, 1.0)[:, None]
        apart = self.holds | (t == self.rest)  # causally, position 0 fetches its own code: it could agree
        shifts = np.where(apart, self.shifts, -2.0 * self.step * (bits + 1))
        place[:, s["shift"]], place[:, s["one"]] = shifts[:, None], 1.0
        width, value = max(bits + 1, 2), max(bits, label)

        def pad(weights: np.ndarray, columns: int) -> np.ndarray:
            return np.concatenate([weights, np.zeros((d, columns))], axis=1)[None, :, :columns]

        named = np.zeros((d, 2))  # score SHARP (2 p j - j^2) of position j where p is named
        named[s["target"].start, 0], named[s["one"].start, 1] = 2.0 * SHARP, -SHARP
        match = np.concatenate([self.step * eye[:, s["code"]], eye[:, s["one"]]], axis=1)
        readout = np.zeros((d, len(self.bias)))
        readout[s["fetched"]] = self.readout
        mask = "causal" if self.causal else "none"
        return Model(
            Arch(
                width=d,
                first=Table(len(token), n),
                layers=(
                    Attention(1, width, value, mask=mask, residual=True),
                    Attention(1, width, value, mask=mask),
                ),
                readout=Readout(len(self.bias)),
                residual=residual.parts,
            ),
            {
                "embed.token": token,
                "embed.position": place,
                "layers.0.query": pad(named, width),
                "layers.0.key": pad(eye[:, s["position"]], width),
                "layers.0.value": pad(eye[:, s["code"]], value),
                "layers.0.output": pad(eye[:, s["before"]], value).transpose(0, 2, 1),
                "layers.1.query": pad(match, width),
                "layers.1.key": pad(np.concatenate([eye[:, s["before"]], eye[:, s["shift"]]], axis=1), width),
                "layers.1.value": pad(eye[:, s["label"]], value),
                "layers.1.output": pad(eye[:, s["fetched"]], value).transpose(0, 2, 1),
                "readout.weight": readout,
                "readout.bias": self.bias,
            },
        )


def induction_size(vocabulary: int, positions: int, bits: int, label: int, outputs: int) -> Size:
    """The size of the model: two layers of one head."""
    width, key, value = 2 * (bits + label) + 5, max(bits + 1, 2), max(bits, label)
    parameters = (vocabulary + positions) * width + 2 * (2 * width * key + 2 * width * value)
    parameters += (width + 1) * outputs
    return Size(2, 1, width, key, value, positions, None, parameters, Precision(64, "stored"))
