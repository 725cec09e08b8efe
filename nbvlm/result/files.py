"""Save results as files: the ending decides the format, and a file is whole or absent."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from nbvlm import prompts
from nbvlm._files import save_file
from nbvlm.draw import annotate
from nbvlm.errors import ImageError
from nbvlm.images import encoded
from nbvlm.result import html, svg
from nbvlm.result.datasets import to_csv
from nbvlm.result.serialization import to_json

if TYPE_CHECKING:
    import os
    from collections.abc import Callable

    from PIL import Image

    from nbvlm.draw import Style
    from nbvlm.result.values import ResultData

__all__ = ["ENDINGS", "annotated", "contents", "crops", "save"]

# Full colour resolution: thin coloured lines and small type would blur.
_JPEG: tuple[str, dict[str, Any]] = ("JPEG", {"quality": 92, "subsampling": 0})
_DRAWN: dict[str, tuple[str, dict[str, Any]]] = {
    ".png": ("PNG", {"compress_level": 3}),
    ".jpg": _JPEG,
    ".jpeg": _JPEG,
    ".webp": ("WEBP", {"quality": 90, "method": 2}),
}
_WRITTEN: dict[str, Callable[[ResultData], bytes]] = {
    ".json": lambda result: (to_json(result, indent=2) + "\n").encode(),
    ".html": lambda result: html.to_html(result).encode("utf-8", "xmlcharrefreplace"),
    ".csv": lambda result: to_csv(result).encode("utf-8", "backslashreplace"),
    ".svg": lambda result: svg.to_svg(result).encode(),
}
_LONGEST = {"JPEG": 65_500, "WEBP": 16_383}

ENDINGS = (*_DRAWN, *_WRITTEN)


def annotated(result: ResultData, style: Style | None = None, **options: Any) -> Image.Image:
    """Draw boxes, masks and labels on the picture; see `Result.annotate`."""
    things = prompts.things(result.prompt)
    return annotate(result.picture.image(), result.detections, style, things=things, keep=False, **options)


def crops(result: ResultData, margin: float = 0) -> list[Image.Image]:
    """Cut each detection out of the picture; see `Result.crops`."""
    picture = result.picture.image() if len(result.detections) else None  # decoded once for all
    return [found.crop(picture, margin=margin) for found in result.detections]


def save(result: ResultData, path: str | os.PathLike[str], **options: Any) -> Path:
    """Save a result; see `Result.save`."""
    path = Path(path)
    data = contents(result, path.suffix, **options)
    save_file(path, data)
    return path


def contents(result: ResultData, ending: str, **options: Any) -> bytes:
    """Make the contents of a file in the format of its ending; the error for another lists all."""
    kind = ending.lower()
    if kind in _DRAWN:
        return _drawn(annotated(result, **options), *_DRAWN[kind])
    if kind not in _WRITTEN:
        given = repr(ending) if ending else "none"
        raise ValueError(f"The file extension must be one of {', '.join(ENDINGS)}, got {given}.")
    if options:
        raise TypeError(f"Style options ({', '.join(options)}) apply to pictures, not to {ending}.")
    return _WRITTEN[kind](result)


def _drawn(image: Image.Image, kind: str, options: dict[str, Any]) -> bytes:
    if max(image.size) > _LONGEST.get(kind, 2**31):
        limit = f"{kind} holds at most {_LONGEST[kind]:,} pixels a side"
        raise ImageError(f"{limit}, and this picture has {max(image.size):,}. Save it as .png.")
    return encoded(image, kind, **options)
