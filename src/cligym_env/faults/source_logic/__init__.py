"""Fault families of the category ``source-logic``."""
