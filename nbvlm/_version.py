"""The version of the package; a module of its own, so that none imports `nbvlm` for it."""

__version__ = "0.1.0"
