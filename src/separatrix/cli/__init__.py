"""The commands. Heavy imports happen inside them, so that `--help` is quick."""

from __future__ import annotations

import sys


def main() -> None:
    """Entry point: every error of the project is one line on stderr and an exit code, never a traceback."""
    from separatrix.cli.app import app
    from separatrix.core.errors import SeparatrixError

    try:
        app()
    except SeparatrixError as error:
        print(f"separatrix: {error}", file=sys.stderr)
        sys.exit(error.exit_code)
    except OSError as error:
        print(f"separatrix: {error.filename or 'file'}: {error.strerror or error}", file=sys.stderr)
        sys.exit(2)
    except MemoryError:
        print("separatrix: not enough memory; try a smaller N, or --dry-run for an estimate", file=sys.stderr)
        sys.exit(2)
    except KeyboardInterrupt:
        print("separatrix: interrupted; files that were finished are complete", file=sys.stderr)
        sys.exit(130)
