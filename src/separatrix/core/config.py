"""Every kind of model that a config.json can hold, told apart by its field `kind`."""

from __future__ import annotations

from separatrix.core.arch import FORMAT, Arch, decode
from separatrix.core.errors import InputError
from separatrix.core.numeric import Numeric
from separatrix.core.positional import Positional
from separatrix.core.recurrent import Recurrent

AnyArch = Arch | Recurrent | Positional | Numeric
KINDS: dict[object, type[AnyArch]] = {
    "transformer": Arch,
    "recurrent": Recurrent,
    "positional": Positional,
    "numeric": Numeric,
}


def read_config(config: object) -> AnyArch:
    """The architecture that a config.json holds; InputError for anything else."""
    kind = config.get("kind") if isinstance(config, dict) else None
    if not isinstance(config, dict) or not isinstance(kind, str) or kind not in KINDS:
        raise InputError(f"config: kind {kind!r} is none of {', '.join(map(str, KINDS))}")
    if config.get("format") != FORMAT:
        raise InputError(f"config format {config.get('format')!r} is not known; this version reads {FORMAT}")
    arch = decode(KINDS[kind], config, "config")
    arch.check()
    return arch
