"""Fault families, one file each in a folder per category; see ``core.FaultFamily``."""
