"""Fault families of the category ``other``."""
