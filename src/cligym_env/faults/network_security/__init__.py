"""Fault families of the category ``network-security``."""
