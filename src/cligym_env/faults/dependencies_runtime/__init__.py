"""Fault families of the category ``dependencies-runtime``."""
