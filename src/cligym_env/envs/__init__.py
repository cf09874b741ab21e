"""Gymnasium environments: one that is repaired, one that is broken, and many at once."""
