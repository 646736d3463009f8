"""Separatrix: ask what a sequence-model architecture of a given size can compute, and get a witness either way."""

__version__ = "0.1.0"
