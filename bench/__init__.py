"""Benchmarks: each module is one command, ``python -m bench.<name>``, and prints one table."""
