"""Measured costs: `make bench` prints them as a table; no test asserts a time."""
