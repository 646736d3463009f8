"""Puts this folder on the path: tests share helpers as `core.reference`, `core.floats`, `tasks.cover`."""

from __future__ import annotations

import sys
from pathlib import Path

if (here := str(Path(__file__).parent)) not in sys.path:
    sys.path.insert(0, here)
