"""Results as files: the ending decides the format, and a file is whole or not there."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from nbvlm._files import write_atomic
from nbvlm.images import encoded

if TYPE_CHECKING:
    import os
    from collections.abc import Callable

    from nbvlm.result.result import Result

__all__ = ["ENDINGS", "made", "save", "write"]

ENDINGS = (".png", ".jpg", ".jpeg", ".webp", ".json", ".html", ".csv", ".svg")

_LONGEST = {"JPEG": 65_500, "WEBP": 16_383}


def save(result: Result, path: str | os.PathLike[str], **options: Any) -> Path:
    """Save a result; see `Result.save`."""
    path = Path(path)
    return write(path, made(result, path.suffix, **options))


def made(result: Result, ending: str, **options: Any) -> bytes:
    """Make the contents of a file.

    Raises
    ------
    ValueError
        Another ending; the message lists those that exist.
    """
    make = _MAKERS.get(ending.lower())
    if make is None:
        what = f"the ending {ending!r}" if ending else "a name without ending"
        raise ValueError(f"A result cannot be saved under {what}. Endings: {', '.join(ENDINGS)}.")
    if options and make not in _DRAWN:
        raise TypeError(f"Style options ({', '.join(options)}) do not go with {ending}.")
    return make(result, options)


def write(path: Path, data: bytes) -> Path:
    """Write a file in one step: whoever reads `path` sees the old file or the whole new one.

    Raises
    ------
    FileNotFoundError
        The folder does not exist.
    """
    if not path.parent.is_dir():
        raise FileNotFoundError(f"There is no folder {str(path.parent)!r} to save {path.name!r} in.")
    write_atomic(path, data)
    return path


def _drawn(kind: str, **options: Any) -> Callable[[Result, dict[str, Any]], bytes]:
    def make(result: Result, style: dict[str, Any]) -> bytes:
        image = result.annotate(**style)
        if max(image.size) > _LONGEST.get(kind, 2**31):
            limit = f"{kind} holds at most {_LONGEST[kind]:,} pixels a side"
            raise ValueError(f"{limit}, and this picture has {max(image.size):,}. Save it as .png.")
        return encoded(image, kind, **options)

    return make


def _html(result: Result, style: dict[str, Any]) -> bytes:  # noqa: ARG001 - one shape for all formats
    return result.to_html().encode("utf-8", "xmlcharrefreplace")


def _json(result: Result, style: dict[str, Any]) -> bytes:  # noqa: ARG001
    return (result.to_json(indent=2) + "\n").encode()


def _csv(result: Result, style: dict[str, Any]) -> bytes:  # noqa: ARG001
    from nbvlm.result.datasets import to_csv

    return to_csv(result).encode("utf-8", "backslashreplace")


def _svg(result: Result, style: dict[str, Any]) -> bytes:  # noqa: ARG001
    return result.to_svg().encode()


# Full colour resolution: thin coloured lines and small type would blur.
_JPEG = _drawn("JPEG", quality=92, subsampling=0)
_PNG = _drawn("PNG", compress_level=3)
_WEBP = _drawn("WEBP", quality=90, method=2)
_DRAWN = (_PNG, _JPEG, _WEBP)
_MAKERS = dict(zip(ENDINGS, (_PNG, _JPEG, _JPEG, _WEBP, _json, _html, _csv, _svg), strict=True))
