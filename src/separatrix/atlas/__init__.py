"""ALL TOGETHER: the one function behind `ask`, the table of verdicts, the page."""

from separatrix.atlas.ask import Answer, ask

__all__ = ["Answer", "ask"]
