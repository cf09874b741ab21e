"""Back ends: what starts machines. One file each, found by name; see ``core.Backend``."""
