"""Names of a package that are imported on first use (PEP 562)."""

from __future__ import annotations

import sys

TYPE_CHECKING = False  # type checkers know the name; `typing` takes longer to import than all the rest here
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

__all__ = ["attach"]


def attach(
    package: str, homes: Mapping[str, str], modules: tuple[str, ...] = ()
) -> tuple[Callable[[str], object], Callable[[], list[str]], list[str]]:
    """Make `__getattr__`, `__dir__` and `__all__` of a package.

    Parameters
    ----------
    package
        Its `__name__`.
    homes
        Module → the names that it provides, separated by blanks.
    modules
        Submodules that are names of the package too.
    """
    home_of = {name: module for module, names in homes.items() for name in names.split()}
    namespace = vars(sys.modules[package])

    def get(name: str) -> object:
        import importlib

        if name in home_of:
            value = getattr(importlib.import_module(home_of[name]), name)
        elif name in modules:
            value = importlib.import_module(f"{package}.{name}")
        else:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        namespace[name] = value
        return value

    names = sorted({*home_of, *modules})

    def listed() -> list[str]:
        # For completion: neither what the package imports for itself nor what was imported by chance.
        own = {name for name, value in namespace.items() if getattr(value, "__module__", None) == package}
        return sorted({*names, *own, *filter(_is_special, namespace)})

    return get, listed, names


def _is_special(name: str) -> bool:
    return name.startswith("__") and name.endswith("__")
