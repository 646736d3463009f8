"""What a language model carries from token to token, read from its config.json, and which lower bounds that meets."""

from separatrix.cannot.audit.config import FAMILIES, read_layout
from separatrix.cannot.audit.layout import Layer, Layout
from separatrix.cannot.audit.report import Audit, audit

__all__ = ["FAMILIES", "Audit", "Layer", "Layout", "audit", "read_layout"]
