"""Arithmetic in constant depth, one operation a file; `table.py` measures them all beside the stated depths."""
