"""Programs that run INSIDE a sandbox, sent there as text on a command line; nothing here is imported.

They use only modules that are frozen or built into the interpreter, so that a broken standard
library or a shadowing module in the work folder cannot reach them.
"""
