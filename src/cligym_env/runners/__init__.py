"""Runners: a repository's suite → per-test results. One file each; see ``core.Runner``."""
