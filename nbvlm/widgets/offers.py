"""What a widget offers the person at its page: sources of pictures, models, the key field, sweeps, exports.

The page hides what is not offered, and Python refuses every message that asks for it all the same.

>>> Offer.of(["samples", "upload"]).names
('samples', 'upload')
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from nbvlm import endpoints
from nbvlm._files import expanded
from nbvlm._text import did_you_mean
from nbvlm.errors import Error
from nbvlm.widgets.host import public_host

if TYPE_CHECKING:
    import os
    from pathlib import Path

__all__ = ["CLOSED", "NAMES", "Allow", "NotOffered", "Offer", "is_address", "without_folders"]

Allow = str | Iterable[str] | Mapping[str, bool | str | Iterable[str]] | None

#: What can be offered, and how an error calls it.
_NOUNS = {
    "samples": "sample pictures",
    "upload": "the upload of pictures",
    "camera": "the camera",
    "link": "pictures from the web",
    "path": "paths on the server",
    "models": "the choice of this model",
    "server": "other servers",
    "key": "the key field",
    "sweep": "sweeps",
    "exports": "exports",
}
NAMES = tuple(_NOUNS)
#: What a panel offers where visitors see it, unless its owner says otherwise. Of the models, only the panel's
#: own and the embedded ones: others would be asked with the owner's key.
CLOSED = ("samples", "upload", "camera", "link", "models", "sweep", "exports")
_EMBEDDED = ("demo",)
_ADDRESS = re.compile(r"(?i)(https?://|data:)")


class NotOffered(Error):
    """A page asks for something that its widget does not offer."""

    def __init__(self, name: str) -> None:
        super().__init__(
            f"This panel does not offer {_NOUNS[name]}.",
            hint="Its owner decides what it offers: Panel(allow=…) or panel.lock(…).",
        )


def is_address(place: str) -> bool:
    """Return whether typed text is an address on the web, or a data URI; everything else is a path."""
    return _ADDRESS.match(place.strip().strip("\"'")) is not None


@dataclass(frozen=True, slots=True)
class Offer:
    """What is offered, by the names in `NAMES`.

    `models` holds the names of the endpoints that can be chosen, None for all; `folder` is the one whose
    pictures can be opened by path, None for the whole disk. Where visitors see the widget (`public`) or it is
    hidden for a class, texts show no folder. `locked` says that the owner has chosen what is offered.
    """

    allowed: frozenset[str] = frozenset(NAMES)
    models: tuple[str, ...] | None = None
    folder: Path | None = None
    public: bool = False
    hidden: bool = False
    locked: bool = False

    @classmethod
    def of(
        cls, allow: Allow = None, paths: str | os.PathLike[str] | None = None, *, public: bool | None = None
    ) -> Offer:
        """Return what `allow` and `paths` say; see `nbvlm.Panel`. `public` is known from the host if None.

        Raises
        ------
        Error
            If a name is not known, or `paths` is not a folder.
        TypeError
            If `allow` is neither names nor a dictionary of them.
        """
        public = bool(public_host()) if public is None else public
        closed: dict[str, Any] = {name: name in CLOSED for name in NAMES} | {"models": _EMBEDDED}
        given = _given(allow, closed if public else dict.fromkeys(NAMES, True))
        names = {name for name, value in given.items() if value}
        folder = None if paths is None else _folder(paths)
        if folder is not None and (not isinstance(allow, Mapping) or allow.get("path") is not False):
            names.add("path")
        locked = folder is not None or allow not in (None, "all")
        return cls(frozenset(names), _models(given["models"]), folder, public, locked=locked)

    def changed(self, allow: Allow) -> Offer:
        """Return what becomes of this offer where `allow` is set: what it does not name is not opened.

        A dictionary changes what it names, and None nothing. A list that names models keeps to those that
        are offered, and the list of what is offered now changes nothing.

        Raises
        ------
        Error, TypeError
            As `of`.
        """
        now: dict[str, Any] = {name: name in self.allowed for name in NAMES}
        limited = now["models"] and self.models is not None
        given = _given(allow, now | {"models": self.models} if limited else now)
        names = frozenset(name for name, value in given.items() if value)
        is_list = allow != "all" and not isinstance(allow, Mapping)
        if allow is None or (is_list and names == {*self.names}):
            return self
        kept = is_list and limited and "models" in names
        models = self.models if kept else _models(given["models"])
        return replace(self, allowed=names, models=models, locked=allow != "all" or self.folder is not None)

    @property
    def names(self) -> tuple[str, ...]:
        """The names of what is offered now, in the order of `NAMES`."""
        hidden = {"path", "key"} if self.hidden else set()
        return tuple(name for name in NAMES if name in self.allowed - hidden)

    def __contains__(self, name: object) -> bool:
        return name in self.names

    @property
    def masks(self) -> bool:
        """Whether texts are shown without folders."""
        return self.public or self.hidden

    @property
    def private(self) -> bool:
        """Whether a person may open an address in a private network: never where the owner has set a lock."""
        return "link" in self and not (self.public or self.locked)

    def hide(self, hidden: bool) -> Offer:
        """Return the same offer, hidden for a class or not."""
        return replace(self, hidden=hidden)

    def need(self, name: str) -> None:
        """Refuse what is not offered."""
        if name not in self:
            raise NotOffered(name)

    def has_model(self, name: str) -> bool:
        """Return whether an endpoint of the list can be chosen."""
        return "models" in self and (self.models is None or name in self.models)

    def shown(self, text: str) -> str:
        """Return a text as it may be shown."""
        return without_folders(text) if self.masks else text


def _given(allow: Allow, usual: dict[str, Any]) -> dict[str, Any]:
    if allow is None:
        return usual
    if isinstance(allow, Mapping):
        return {**usual, **{_name(name): value for name, value in allow.items()}}
    if allow == "all":
        return dict.fromkeys(NAMES, True)
    names = [allow] if isinstance(allow, str) else allow
    if not isinstance(names, Iterable):
        kind = type(allow).__name__
        raise TypeError(f'allow must be names such as ["samples", "upload"], or a dictionary, not {kind}.')
    chosen = {_name(name) for name in names}
    return {name: name in chosen for name in NAMES}


def _name(name: Any) -> str:
    if name in _NOUNS:
        return str(name)
    guess = did_you_mean(str(name), NAMES)
    raise Error(f"{str(name)[:40]!r} is not a name for allow.", hint=f"{guess}It takes {', '.join(NAMES)}.")


def _models(value: Any) -> tuple[str, ...] | None:
    if isinstance(value, bool):
        return None if value else ()
    names = [value] if isinstance(value, str) else value
    return tuple(endpoints.get(name).name for name in names)


def _folder(paths: str | os.PathLike[str]) -> Path:
    folder = expanded(paths)
    if not folder.is_dir():
        raise Error(f"paths must be a folder, and there is none at {str(paths)!r}.", hint="Make it first.")
    return folder.resolve()


# A folder begins at the root, a home or a drive, and may hold spaces only between quotation marks.
_FOLDERS = re.compile(
    r"""(?P<quote>['"])(?:~\w*|[A-Za-z]:|\\\\)?[/\\][^'"\n]*?(?P<quoted>[^/\\'"\n]*)[/\\]?(?P=quote)"""
    r"""|(?<![\w/\\.:>…])(?:~\w*|[A-Za-z]:|\\)?[/\\](?:[^\s/\\'",;:()]+[/\\])*(?P<bare>[^\s/\\'",;:()]*)""",
)


def without_folders(text: str) -> str:
    """Replace the folders of paths in a text by "…".

    >>> without_folders("There is no file '/home/ada/my cat.png'. Looked in /home/ada.")
    "There is no file '…/my cat.png'. Looked in …."
    """
    return _FOLDERS.sub(_last, text)


def _last(match: re.Match[str]) -> str:
    quote, whole = match["quote"] or "", match[0].strip("'\"")
    name = match["quoted"] if quote else match["bare"]
    end = "." if name.endswith(".") and not quote else ""
    # A name without an ending is a folder, and may be a home.
    return (
        f"{quote}…/{name}{quote}" if "." in name[:-1] and not whole.endswith("/") else f"{quote}…{end}{quote}"
    )
