"""Fault families of the category ``infrastructure``."""
