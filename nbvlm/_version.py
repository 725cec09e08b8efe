"""The version of the package, which other modules import from here instead of from `nbvlm`."""

__version__ = "0.1.0"
