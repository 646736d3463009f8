"""Sizes, architectures, guarantees, precisions, registries, seeds: the words everything else is said in."""

from __future__ import annotations

import dataclasses
import json
import math
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from separatrix.core.arch import Arch, Attention, FeedForward, Linear, PointerSet, Readout, Residual, Table
from separatrix.core.errors import InputError, RejectedError, SeparatrixError, UnknownError
from separatrix.core.families import FAMILIES, family
from separatrix.core.files import canonical_json, strict_json
from separatrix.core.guarantee import CHECKED, CONJECTURED, PROVED, Guarantee, Level, statistical
from separatrix.core.registry import Registry
from separatrix.core.seeds import child
from separatrix.core.shapes import check_tensors, tensor_shapes
from separatrix.core.size import Precision, Size

ARCHS = [
    Arch(4, Table(7), (Attention(1, 2, 3),), Readout(2)),
    Arch(4, Table(7, 5), (Attention(2, 2, 1, scale=1 / 3, residual=True, mask="causal"),), Readout(3), blank=True),
    Arch(9, PointerSet(2, 5, 1, 4, "slots"), (Attention(1, 4, 1),), Readout(1, "reals")),
    Arch(9, PointerSet(2, 5, 1, 4, "moment", keys="moment"), (Attention(1, 4, 1),), Readout(1, "reals")),
    Arch(3, Linear(2, 6), (Attention(1, 1, 1), FeedForward(8, residual=True), Attention(1, 1, 1)), Readout(2)),
    Arch(6, Table(3), (Attention(1, 1, 1),), Readout(2), residual=Residual.of(symbol=2, position=4).parts),
]


# ------------------------------------------------------------------------------------------------------------- sizes


def test_bits_by_hand() -> None:
    """Recurrent: state numbers times bits. One softmax layer: d p + H (2 d_v p + 4 p + 2 ceil(log2 T))."""
    assert Size(state_numbers=128, precision=Precision(64, "stored")).bits("cut") == 8192
    assert Size(state_numbers=128, precision=Precision(64, "stored")).bits("state") == 8192
    one = Size(1, 2, 10, 3, 4, 17, None, 1000, Precision(16, "stored"))
    assert one.bits("cut") == 10 * 16 + 2 * (2 * 4 * 16 + 4 * 16 + 2 * 5)
    assert one.bits("representation") == 16_000
    assert one.bits("state") is None
    assert dataclasses.replace(one, tokens=16).bits("cut") == 10 * 16 + 2 * (2 * 4 * 16 + 4 * 16 + 2 * 4)
    assert dataclasses.replace(one, tokens=1).bits("cut") == 10 * 16 + 2 * (2 * 4 * 16 + 4 * 16)


def test_bits_without_meaning_are_none() -> None:
    one = Size(1, 2, 10, 3, 4, 17, None, 1000, Precision(16))
    for missing in ("heads", "value_width", "width", "tokens", "precision", "layers"):
        assert dataclasses.replace(one, **{missing: None}).bits("cut") is None
    assert dataclasses.replace(one, layers=2).bits("cut") is None
    assert dataclasses.replace(one, parameters=None).bits("representation") is None
    assert Size().bits("cut") is None


sizes = st.builds(
    Size,
    layers=st.none() | st.integers(1, 3),
    heads=st.none() | st.integers(1, 3),
    width=st.none() | st.integers(1, 3),
    parameters=st.none() | st.integers(1, 3),
    precision=st.none() | st.builds(Precision, st.integers(1, 3), st.sampled_from(["float", "stored"])),
)


@given(sizes, sizes, sizes)
@settings(max_examples=400, deadline=None)
def test_fits_is_a_partial_order(a: Size, b: Size, c: Size) -> None:
    assert a.fits(a) and a.fits(Size())
    if a.fits(b) and b.fits(c):
        assert a.fits(c)
    if a.fits(b) and b.fits(a):
        assert a == b


def test_fits_examples() -> None:
    small, big = Size(heads=1, width=4), Size(heads=2, width=4)
    assert small.fits(big) and not big.fits(small)
    assert not Size(heads=1).fits(Size(width=9)), "what is unknown does not fit a limit"
    assert not Size(precision=Precision(8, "stored")).fits(Size(precision=Precision(8, "float")))
    assert Size(precision=Precision(8)).fits(Size(precision=Precision(24)))


def test_sizes_as_json() -> None:
    assert Size(heads=1, precision=Precision(24)).to_json() == {"heads": 1, "precision": "float:24"}
    assert Size().to_json() == {}


@pytest.mark.parametrize(
    ("text", "bits", "kind"),
    [
        ("fp32", 24, "float"),
        ("bf16", 8, "float"),
        ("fp64", 53, "float"),
        ("stored:8", 8, "stored"),
        ("accumulator:32", 32, "accumulator"),
        ("fixed:1", 1, "fixed"),
    ],
)
def test_precisions(text: str, bits: int, kind: str) -> None:
    assert Precision.parse(text) == Precision(bits, kind)  # pyright: ignore[reportArgumentType]
    assert Precision.parse(str(Precision.parse(text))) == Precision.parse(text)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "fp8",
        "float",
        "float:",
        "float:0",
        "float:-1",
        "float:1.5",
        "float:٣",
        "int:8",
        "float:9999999",
        "float:" + "9" * 5000,
        " fp32",
    ],
)
def test_bad_precisions(text: str) -> None:
    with pytest.raises(InputError):
        Precision.parse(text)


# --------------------------------------------------------------------------------------------------------------- arch


@pytest.mark.parametrize("arch", ARCHS, ids=lambda a: a.first.kind)
def test_arch_round_trip(arch: Arch) -> None:
    data = canonical_json(arch.to_config())
    assert Arch.from_config(strict_json(data, "config")) == arch
    assert canonical_json(Arch.from_config(strict_json(data, "config")).to_config()) == data


def objects(value: Any, at: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Paths of all objects in a config."""
    if isinstance(value, dict):
        yield at
    for key in value if isinstance(value, dict) else range(len(value)) if isinstance(value, list) else ():
        yield from objects(value[key], (*at, key))


def inside(config: Any, at: tuple[Any, ...]) -> Any:
    for key in at:
        config = config[key]
    return config


@pytest.mark.parametrize("arch", ARCHS, ids=lambda a: a.first.kind)
def test_unknown_missing_and_ill_typed_fields_are_refused(arch: Arch) -> None:
    config = arch.to_config()
    for at in objects(config):
        new = json.loads(json.dumps(config))
        inside(new, at)["extra"] = 1
        with pytest.raises(InputError):
            Arch.from_config(new)
        for field in inside(config, at):
            new = json.loads(json.dumps(config))
            del inside(new, at)[field]
            with pytest.raises(InputError):
                Arch.from_config(new)
            for value in (None, [], {}, "x", 1.5, True, False, 3, -1, 2**70, [{}], "nan", "inf", "0x1p99999"):
                old = inside(config, at)[field]
                if type(old) is type(value) or (field == "scale" and isinstance(value, str)):
                    continue
                new = json.loads(json.dumps(config))
                inside(new, at)[field] = value
                if field == "residual" and value == []:
                    continue
                with pytest.raises(InputError):
                    Arch.from_config(new)


@pytest.mark.parametrize("scale", ["nan", "inf", "-inf", "x", "0x1p99999", ""])
def test_scales_are_finite_numbers(scale: str) -> None:
    config = ARCHS[0].to_config()
    config["layers"][0]["scale"] = scale
    with pytest.raises(InputError):
        Arch.from_config(config)


@pytest.mark.parametrize("config", [None, [], 3, "x", {}, {"format": 1}, {"format": 2}, {"format": True}])
def test_what_is_no_config_is_refused(config: object) -> None:
    with pytest.raises(InputError):
        Arch.from_config(config)


def test_sizes_that_make_no_sense_are_refused() -> None:
    good = ARCHS[0]
    bad = [
        dataclasses.replace(good, width=0),
        dataclasses.replace(good, layers=()),
        dataclasses.replace(good, width=2**40),
        dataclasses.replace(good, readout=Readout(0)),
        dataclasses.replace(good, layers=(FeedForward(0),)),
        dataclasses.replace(good, layers=(Attention(0, 1, 1),)),
        dataclasses.replace(good, layers=(Attention(1, -1, 1),)),
    ]
    for arch in bad:
        with pytest.raises(InputError):
            arch.check()


@pytest.mark.parametrize("arch", ARCHS, ids=lambda a: a.first.kind)
def test_tensors_must_be_exactly_those_of_the_arch(arch: Arch) -> None:
    tensors: dict[str, np.ndarray] = {name: np.ones(shape) for name, shape in tensor_shapes(arch).items()}
    check_tensors(arch, tensors)
    for name in tensors:
        for wrong in (
            {k: v for k, v in tensors.items() if k != name},
            tensors | {name + "x": tensors[name]},
            tensors | {name: tensors[name][None]},
            tensors | {name: tensors[name].astype(np.float16)},
            tensors | {name: tensors[name].astype(np.complex128)},
            tensors | {name: tensors[name] * np.nan},
            tensors | {name: tensors[name] * np.inf},
        ):
            with pytest.raises(InputError):
                check_tensors(arch, wrong)


def test_residual_slices() -> None:
    parts = Residual.of(symbol=6, position=2, rest=1)
    assert parts.width == 9 and parts.slice("position") == slice(6, 8) and parts.slice("rest") == slice(8, 9)


# ------------------------------------------------------------------------------------------- guarantees and registries


def test_guarantees_round_trip() -> None:
    for one in (PROVED, CHECKED, CONJECTURED, statistical(), statistical(0.25)):
        assert Guarantee.parse(str(one)) == one
    assert [g.rules_out for g in (PROVED, statistical(), CHECKED, CONJECTURED)] == [True, True, False, False]


@pytest.mark.parametrize(
    "text",
    [
        "",
        "Proved",
        "proved ",
        "statistical",
        "statistical()",
        "statistical(0)",
        "statistical(1)",
        "statistical(nan)",
        "statistical(inf)",
        "statistical(-1)",
        "statistical(x)",
        "proved(1e-9)",
    ],
)
def test_bad_guarantees(text: str) -> None:
    with pytest.raises(InputError):
        Guarantee.parse(text)


def test_only_the_statistical_guarantee_has_a_delta() -> None:
    with pytest.raises(InputError):
        Guarantee(Level.PROVED, 0.1)
    with pytest.raises(InputError):
        Guarantee(Level.STATISTICAL)


def test_registry() -> None:
    registry: Registry[int] = Registry("thing")
    assert registry.register("a-1")(5) == 5 and registry.get("a-1") == 5
    registry.register("b")(6)
    assert list(registry) == ["a-1", "b"] and registry.items() == [("a-1", 5), ("b", 6)] and "b" in registry
    for bad in ("", "A", "a_b", "a--b", "-a", "a ", "ä", "a\n"):
        with pytest.raises(ValueError, match="kebab"):
            registry.register(bad)
    with pytest.raises(ValueError, match="twice"):
        registry.register("b")
    with pytest.raises(InputError, match=r"unknown thing 'a-2'; did you mean a-1\?"):
        registry.get("a-2")
    with pytest.raises(InputError, match="known: a-1, b"):
        registry.get("zzzzzz")
    with pytest.raises(InputError) as long:
        registry.get("x" * 10**7)
    assert len(str(long.value)) < 200
    with pytest.raises(InputError, match="known: none"):
        Registry("thing").get("x")


def test_families() -> None:
    assert family("elman").bounds_of == "rnn" and all(f.bounds_of in FAMILIES for f in FAMILIES.values())
    with pytest.raises(InputError, match="unknown arch"):
        family("cnn")


def test_errors_have_their_exit_codes() -> None:
    assert [e.exit_code for e in (SeparatrixError, InputError, RejectedError, UnknownError)] == [2, 2, 1, 3]


def test_streams_depend_on_names_only() -> None:
    assert child(1, "a", 2).random() == child(1, "a", 2).random()
    keys: list[tuple[int, tuple[str | int, ...]]] = [
        (1, ("a",)),
        (2, ("a",)),
        (1, ("b",)),
        (1, ("a", 0)),
        (1, ("a", 1)),
        (1, ()),
    ]
    draws = {child(seed, *names).random() for seed, names in keys}
    assert len(draws) == 6
    assert math.isclose(child(0, "pin").random(), child(0, "pin").random())
