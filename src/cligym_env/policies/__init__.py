"""Policies: what chooses actions. One file each; see ``core.Policy``."""
