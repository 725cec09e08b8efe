"""Results as files: the ending decides the format, and a file is whole or not there."""

from __future__ import annotations

import io
import secrets
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nbvlm import prompts
from nbvlm.draw import annotate
from nbvlm.result import html, svg
from nbvlm.result.datasets import to_csv
from nbvlm.result.serialization import to_json

if TYPE_CHECKING:
    import os
    from collections.abc import Callable

    from PIL import Image

    from nbvlm.draw import Style
    from nbvlm.result.values import ResultData

__all__ = ["ENDINGS", "annotated", "made", "save", "write"]

ENDINGS = (".png", ".jpg", ".jpeg", ".webp", ".json", ".html", ".csv", ".svg")

_LONGEST = {"JPEG": 65_500, "WEBP": 16_383}


def annotated(result: ResultData, style: Style | None = None, **options: Any) -> Image.Image:
    """Draw boxes, masks and labels on the picture; see `Result.annotate`."""
    things = prompts.things(result.prompt)
    return annotate(result.picture.image(), result.detections, style, things=things, keep=False, **options)


def save(result: ResultData, path: str | os.PathLike[str], **options: Any) -> Path:
    """Save a result; see `Result.save`."""
    path = Path(path)
    return write(path, made(result, path.suffix, **options))


def made(result: ResultData, ending: str, **options: Any) -> bytes:
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
    beside = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    try:
        beside.write_bytes(data)
        beside.replace(path)
    finally:
        beside.unlink(missing_ok=True)
    return path


def _drawn(kind: str, **options: Any) -> Callable[[ResultData, dict[str, Any]], bytes]:
    def make(result: ResultData, style: dict[str, Any]) -> bytes:
        image = annotated(result, **style)
        if max(image.size) > _LONGEST.get(kind, 2**31):
            limit = f"{kind} holds at most {_LONGEST[kind]:,} pixels a side"
            raise ValueError(f"{limit}, and this picture has {max(image.size):,}. Save it as .png.")
        buffer = io.BytesIO()
        image.save(buffer, kind, **options)
        return buffer.getvalue()

    return make


def _html(result: ResultData, style: dict[str, Any]) -> bytes:  # noqa: ARG001 - one shape for all formats
    return html.to_html(result).encode("utf-8", "xmlcharrefreplace")


def _json(result: ResultData, style: dict[str, Any]) -> bytes:  # noqa: ARG001
    return (to_json(result, indent=2) + "\n").encode()


def _csv(result: ResultData, style: dict[str, Any]) -> bytes:  # noqa: ARG001
    return to_csv(result).encode("utf-8", "backslashreplace")


def _svg(result: ResultData, style: dict[str, Any]) -> bytes:  # noqa: ARG001
    return svg.to_svg(result).encode()


# Full colour resolution: thin coloured lines and small type would blur.
_JPEG = _drawn("JPEG", quality=92, subsampling=0)
_PNG = _drawn("PNG", compress_level=3)
_WEBP = _drawn("WEBP", quality=90, method=2)
_DRAWN = (_PNG, _JPEG, _WEBP)
_MAKERS = dict(zip(ENDINGS, (_PNG, _JPEG, _JPEG, _WEBP, _json, _html, _csv, _svg), strict=True))
