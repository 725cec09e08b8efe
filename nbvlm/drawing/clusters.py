"""Text as a reader counts it: clusters, each what one takes for one character."""

from __future__ import annotations

import unicodedata

__all__ = ["clean", "clusters", "is_emoji", "needed"]

_JOINERS = {0x200C, 0x200D}


def clean(text: str) -> str:
    r"""Prepare a label for drawing: one line, composed, without control characters.

    >>> clean("cafe\u0301 \n  au lait\x07")
    'café au lait'
    """
    kept = (char for char in " ".join(text.split()) if _drawable(char))
    return unicodedata.normalize("NFC", "".join(kept))


def _drawable(char: str) -> bool:
    category = unicodedata.category(char)
    return category != "Cc" and (category != "Cf" or ord(char) in _JOINERS or ord(char) >= 0xE0020)


def clusters(text: str) -> list[str]:
    """Cut a text into what a reader takes for one character each.

    >>> [len(cluster) for cluster in clusters("a👩‍🚀🇩🇪")]
    [1, 3, 2]
    """
    parts: list[str] = []
    for char in text:
        if parts and _continues(parts[-1], char):
            parts[-1] += char
        else:
            parts.append(char)
    return parts


def _continues(before: str, char: str) -> bool:
    code = ord(char)
    flag = len(before) == 1 and _is_flag(before) and _is_flag(char)
    return (
        unicodedata.category(char)[0] == "M"
        or code in _JOINERS
        or 0x1F3FB <= code <= 0x1F3FF
        or 0xE0020 <= code <= 0xE007F
        or ord(before[-1]) == 0x200D
        or flag
    )


def _is_flag(char: str) -> bool:
    return 0x1F1E6 <= ord(char) <= 0x1F1FF


def needed(cluster: str) -> list[int]:
    """List the code points that a font must have: joiners, tags and selectors draw nothing."""
    return [
        code
        for code in map(ord, cluster)
        if code not in _JOINERS and not 0xFE00 <= code <= 0xFE0F and not 0xE0020 <= code <= 0xE007F
    ]


def is_emoji(cluster: str) -> bool:
    """Tell whether a cluster asks for the colourful form."""
    return "\ufe0f" in cluster or any(0x1F000 <= code <= 0x1FAFF for code in map(ord, cluster))
