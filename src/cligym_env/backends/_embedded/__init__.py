"""The parts of the embedded back end.

Two kinds of modules live here. ``client``, ``machine``, ``store`` and ``snapshot`` belong to the
library's own process. All others run in the *zygote* and in what it forks, a bare interpreter
without this library: they import the standard library and each other (relatively), nothing else.
"""
