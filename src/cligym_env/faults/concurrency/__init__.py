"""Fault families of the category ``concurrency``."""
