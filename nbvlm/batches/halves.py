"""A key on its way between processes: two texts, each random by itself, and the key only where both meet."""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from nbvlm.client import Secret

__all__ = ["LEAVE", "halves", "joined", "mixed", "topic"]

LEAVE = "nbvlm_leave"
"""What workers are told at the end of a run."""


def topic(run: str) -> str:
    """Name the events of a run."""
    return f"nbvlm-{run}"


def halves(secret: Secret) -> tuple[bytes, bytes]:
    """Split a key into two texts that are random each."""
    text = secret.reveal().encode()
    pad = secrets.token_bytes(len(text))
    return pad, mixed(text, pad)


def joined(one: bytes, other: bytes) -> str:
    """Put the two together."""
    return mixed(one, other).decode()


def mixed(one: bytes, other: bytes) -> bytes:
    """Turn a text and one half into the other half, or both halves into the text."""
    return bytes(a ^ b for a, b in zip(one, other, strict=True))
