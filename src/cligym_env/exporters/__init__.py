"""Exporters: trajectories in somebody's format. One file each; see ``core.Exporter``."""
