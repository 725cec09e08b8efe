"""The tutorials, and copies of them that people may edit.

What was copied is noted in a small file beside the copies, so that a newer release can bring a notebook up to
date that nobody has touched, and leaves every other alone.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import NamedTuple

from nbvlm.errors import Error

__all__ = ["FIRST", "Copied", "copy", "names", "source"]

FIRST = "quickstart.ipynb"
"""The notebook to begin with."""

_NOTE = ".nbvlm-tutorials.json"
_PACKAGE = Path(__file__).parents[1]
_NOT_OURS = {".ipynb_checkpoints", "__pycache__"}


class Copied(NamedTuple):
    """What was done with each file, by its name.

    Attributes
    ----------
    new, renewed, same, kept
        Copied; replaced, untouched as it was; the same already; edited, and so left alone.
    """

    new: list[str]
    renewed: list[str]
    same: list[str]
    kept: list[str]

    def __str__(self) -> str:
        """Say it in words, the edited ones by name."""
        counts = ((self.new, "copied"), (self.renewed, "brought up to date"), (self.same, "there already"))
        parts = [f"{len(found)} {what}" for found, what in counts if found]
        if self.kept:
            parts.append(f"{len(self.kept)} kept as you edited them ({', '.join(self.kept)})")
        return ", ".join(parts) or "nothing to copy"


def source() -> Path:
    """Return the folder of the tutorials: in an installed package, or in a checkout beside it.

    Raises
    ------
    Error
        If neither is there.
    """
    for folder in (_PACKAGE / "tutorials", _PACKAGE.parent / "notebooks"):
        if (folder / FIRST).is_file():
            return folder
    raise Error("This installation has no tutorials.", hint="Install it again: pip install -U nbvlm")


def names(folder: Path) -> list[str]:
    """List the files of a folder of tutorials, as relative paths with slashes."""
    found = (path for path in folder.rglob("*") if path.is_file())
    relative = (path.relative_to(folder) for path in found)
    return sorted(path.as_posix() for path in relative if not _NOT_OURS.intersection(path.parts))


def copy(target: Path) -> Copied:
    """Copy the tutorials; what somebody has edited there stays as it is.

    Parameters
    ----------
    target
        Folder; made where it does not exist.

    Raises
    ------
    Error
        If nothing can be written there.
    """
    origin, done = source(), Copied([], [], [], [])
    try:
        target.mkdir(parents=True, exist_ok=True)
        noted = _noted(target)
        for name in names(origin):
            data = (origin / name).read_bytes()
            how = _place(target / name, data, noted.get(name))
            getattr(done, how).append(name)
            if how != "kept":
                noted[name] = _hash(data)
        (target / _NOTE).write_text(json.dumps(noted, indent=1) + "\n", encoding="utf-8")
    except OSError as error:
        reason = error.strerror or str(error)
        raise Error(f"{str(target)!r} cannot be written: {reason}.", hint="Choose another folder.") from None
    return done


def _place(path: Path, data: bytes, noted: str | None) -> str:
    """Write one file, if that destroys nobody's work; return the field of `Copied`."""
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
        return "new"
    there = path.read_bytes()
    if there == data:
        return "same"
    if _hash(there) != noted:
        return "kept"
    path.write_bytes(data)
    return "renewed"


def _noted(target: Path) -> dict[str, str]:
    """Read which files were copied, as they were; a note that cannot be read counts as none."""
    try:
        noted = json.loads((target / _NOTE).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return noted if isinstance(noted, dict) else {}


def _hash(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()
