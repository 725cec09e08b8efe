"""The content of a message: which part is the prompt, and which the picture.

>>> from nbvlm.demo.serving.content import split
>>> split('caption en <img src="data:image/png;asset_id,0f0e" />')
('caption en', ['data:image/png;asset_id,0f0e'])
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from nbvlm.demo.serving.schema import Faults, Loc, members

__all__ = ["Inline", "Source", "Uploaded", "parts", "source", "split"]

_TAG = re.compile(r"""<img\s+src\s*=\s*(?:"([^"]*)"|'([^']*)')\s*/?>""", re.IGNORECASE)
_DATA = re.compile(r"data:image/(png|jpe?g);(base64|asset_id),")


@dataclass(frozen=True, slots=True)
class Inline:
    """A picture inside the body: its base64 text."""

    base64: str


@dataclass(frozen=True, slots=True)
class Uploaded:
    """A picture uploaded before: its asset id."""

    asset_id: str


Source = Inline | Uploaded


def split(content: str) -> tuple[str, list[str]]:
    """Separate the text of a string content from the sources of its `<img>` tags.

    Returns
    -------
    tuple
        The text outside the tags, stripped; the value of `src` of each tag, in order.
    """
    sources = [match[1] if match[1] is not None else match[2] for match in _TAG.finditer(content)]
    pieces = (piece.strip() for piece in _TAG.split(content)[:: _TAG.groups + 1])
    return " ".join(piece for piece in pieces if piece), sources


def parts(faults: Faults, loc: Loc, content: list[Any]) -> tuple[str, list[str]]:
    """Separate text and pictures of a content in list form; tags inside a text part are text.

    Returns
    -------
    tuple
        The text parts joined by blanks; the picture parts' URLs, in order.
    """
    texts, sources = [], []
    for index, part in enumerate(content):
        here = (*loc, index)
        kind = part.get("type") if isinstance(part, dict) else None
        if kind == "text":
            texts.append(_text(faults, here, part).strip())
        elif kind == "image_url":
            sources.append(_url(faults, here, part))
        else:
            faults.add((*here, "type"), "literal_error", "Input should be 'text' or 'image_url'")
    return " ".join(text for text in texts if text), sources


def _text(faults: Faults, loc: Loc, part: dict[str, Any]) -> str:
    value = members(faults, loc, part, "type text").get("text")
    if isinstance(value, str):
        return value
    faults.add((*loc, "text"), "string_type", "Input should be a valid string")
    return ""


def _url(faults: Faults, loc: Loc, part: dict[str, Any]) -> str:
    value = members(faults, loc, part, "type image_url").get("image_url")
    loc = (*loc, "image_url")
    if isinstance(value, dict):
        value = members(faults, loc, value, "url detail").get("url")
        loc = (*loc, "url")
    if isinstance(value, str):
        return value
    faults.add(loc, "string_type", "Input should be a valid string")
    return ""


def source(faults: Faults, loc: Loc, url: str, limit: int | None = None) -> Source | None:
    """Read the URL of a picture; a fault is noted when it is none.

    Parameters
    ----------
    faults, loc
        Where to note what is wrong, and the place to name.
    url
        `data:image/png;base64,…`, `data:image/png;asset_id,…`, or base64 alone.
    limit
        The base64 text must be shorter than this many characters.
    """
    match = _DATA.match(url)
    if match is None and ":" in url[:64]:
        message = "Input should be a data URI of type image/png, image/jpg or image/jpeg"
        faults.add(loc, "value_error", message)
        return None
    payload = url[match.end() :] if match else url
    if match and match[2] == "asset_id":
        return Uploaded(payload.strip().lower())
    if limit is not None and len(payload) >= limit:
        message = f"String should have fewer than {limit} characters; upload the picture as an asset"
        faults.add(loc, "string_too_long", message)
        return None
    return Inline(payload)
