"""Protocols that run: a model split between two parties who exchange summaries only, and the bits that this takes."""

from separatrix.cannot.protocols.attention import run_attention
from separatrix.cannot.protocols.recurrent import run_recurrent
from separatrix.cannot.protocols.transcript import Message, Transcript, read_split, run

__all__ = ["Message", "Transcript", "read_split", "run", "run_attention", "run_recurrent"]
