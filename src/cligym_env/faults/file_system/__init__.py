"""Fault families of the category ``file-system``."""
