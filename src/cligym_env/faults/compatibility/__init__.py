"""Fault families of the category ``compatibility``."""
