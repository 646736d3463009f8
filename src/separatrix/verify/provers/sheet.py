"""One softmax head as tables for the sweep, in plain float64: a query's weights, and what every symbol adds.

Nothing here is trusted.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from separatrix.core.arch import Attention
from separatrix.core.domain import CellGroup, Sequence
from separatrix.models.model import Model


@dataclass(frozen=True, slots=True)
class Net:
    """The weights, and what tokens (V, k), positions (T, k) and the blank (k,) add to the logits; `light`: no position
    adds anything. seats: by background, which symbols stand where (see `Sheet`). memo: see `_of_light`.
    """

    token: np.ndarray
    place: np.ndarray
    blank: np.ndarray | None
    score: np.ndarray  # (d, d): score(x, y) = x score y
    readout: np.ndarray | None
    bias: np.ndarray
    of_token: np.ndarray
    of_place: np.ndarray
    of_blank: np.ndarray | None
    light: bool
    seats: dict[object, tuple[object, np.ndarray, list[tuple[np.ndarray, np.ndarray]]]] = field(default_factory=dict)
    memo: dict[bytes, np.ndarray] = field(default_factory=dict)

    @classmethod
    def of(cls, model: Model, positions: int) -> Net:
        """In float64."""
        t, layer = {name: tensor.astype(np.float64) for name, tensor in model.tensors.items()}, model.arch.layers[0]
        assert isinstance(layer, Attention)
        place = t.get("embed.position", np.zeros((positions, model.arch.width)))
        logits = t["layers.0.value"][0] @ t["layers.0.output"][0] @ t["readout.weight"]
        blank, of_place = t.get("embed.blank"), place @ logits
        return cls(
            token=t["embed.token"],
            place=place,
            blank=blank,
            score=t["layers.0.query"][0] @ t["layers.0.key"][0].T * layer.scale,
            readout=t["readout.weight"] if layer.residual else None,
            bias=t["readout.bias"],
            of_token=t["embed.token"] @ logits,
            of_place=of_place,
            of_blank=None if blank is None else blank @ logits,
            light=not of_place.any(),
        )

    def seated(
        self, domain: Sequence, group: CellGroup
    ) -> tuple[object, np.ndarray, list[tuple[np.ndarray, np.ndarray]]]:
        """What must stay alive for the key; the symbols used (S,); zones: (symbols allowed (S,), their positions)."""
        where, token = group.background or domain.alphabets, group.token
        alone = group.constraint.kind != "product" or len(where) == 1
        key = (id(where), group.query, group.symbols.tobytes(), token if alone else None)
        if key not in self.seats:
            kinds: dict[int, list[int]] = {}
            for j, alphabet in enumerate(where):
                if j != group.query:
                    kinds.setdefault(id(alphabet), []).append(j)
            held = {name: np.asarray(where[places[0]]) for name, places in kinds.items()}
            own = [] if key[-1] is None else [token]
            used = np.unique(np.concatenate([*held.values(), group.symbols.reshape(-1), own])).astype(np.int64)
            zones = [(np.isin(used, held[name]), np.array(places)) for name, places in kinds.items()]
            if len(self.seats) > 64:
                self.seats.clear()
            self.seats[key] = where, used, zones
        return self.seats[key]


@dataclass(frozen=True, slots=True)
class Sheet:
    """Weights and logit contributions of one query's token, for the symbols `used` (S,) that a group allows.

    e_place (T,), e_sign (S,): exponentials of scores, whose product is at most 1. of_sign (S, k): what a symbol adds to
    the logits, constants included. e_single, singles (1 or 2,), (1 or 2, k): of the query's own token and the blank.
    zones: (symbols allowed (S,), positions), without the query. kin: token, background and forced symbols of the groups
    that it is for.
    """

    kin: tuple[object, ...]
    net: Net
    used: np.ndarray
    zones: list[tuple[np.ndarray, np.ndarray]]
    e_place: np.ndarray
    e_sign: np.ndarray
    of_sign: np.ndarray
    e_single: np.ndarray
    singles: np.ndarray

    @classmethod
    def of(cls, net: Net, domain: Sequence, group: CellGroup) -> Sheet:
        """From the weights, in float64."""
        _, used, zones = net.seated(domain, group)
        x = net.token[group.token] + net.place[group.query]
        g, const = x @ net.score, net.bias + (0.0 if net.readout is None else x @ net.readout)
        rows = x[None] if net.blank is None else np.stack([x, net.blank])
        read = (net.of_token[group.token] + net.of_place[group.query])[None]
        read = read if net.of_blank is None else np.concatenate([read, net.of_blank[None]])
        sign, place, single = net.token[used] @ g, net.place @ g, rows @ g
        top = float(sign.max(initial=0.0))
        shift = max(float(place.max()), float(single.max()) - top)
        kin = (group.token, group.background, group.symbols.tobytes())
        e_place, e_sign, e_single = np.exp(place - shift), np.exp(sign - top), np.exp(single - shift - top)
        return cls(kin, net, used, zones, e_place, e_sign, net.of_token[used] + const, e_single, read + const)

    def is_of(self, group: CellGroup) -> bool:
        """Whether the sheet serves this group too."""
        token, background, symbols = self.kin
        return token == group.token and background is group.background and symbols == group.symbols.tobytes()

    def is_light(self, group: CellGroup) -> bool:
        """Whether the least symbol is the same at all positions of a zone."""
        return self.net.light and group.constraint.kind == "product"

    @property
    def allowed(self) -> np.ndarray:
        """(T, S) which symbols may stand where; none at the query."""
        allowed = np.zeros((len(self.e_place), len(self.used)), dtype=bool)
        for symbols, places in self.zones:
            allowed[places] = symbols
        return allowed

    def own(self, labels: np.ndarray) -> np.ndarray:
        """(A, k) weighted margins of the singles together."""
        margin = self.singles[:, labels][:, :, None] - self.singles[:, None]  # (1 or 2, A, k)
        return (margin * self.e_single[:, None, None]).sum(axis=0)

    def terms(self, label: int) -> tuple[np.ndarray, np.ndarray]:
        """(T, S, k) weighted margins of `label` against every answer, and (k,) those of the singles together."""
        values = self.of_sign[None] + self.net.of_place[:, None]
        weights = self.e_place[:, None] * self.e_sign
        return weights[:, :, None] * (values[:, :, [label]] - values), self.own(np.array([label]))[0]
