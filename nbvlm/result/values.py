"""What was counted and measured while an answer came."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["Sent", "Timing", "Usage"]


@dataclass(frozen=True, slots=True)
class Usage:
    """Tokens that the service counted; None where it did not say."""

    prompt_tokens: int | None
    completion_tokens: int | None
    total_tokens: int | None


@dataclass(frozen=True, slots=True)
class Sent:
    """The picture as it travelled, after any conversion and shrinking.

    Attributes
    ----------
    mime
        "image/png" or "image/jpeg".
    width, height
        Pixels.
    bytes
        Length of the encoded picture, before base64.
    """

    mime: str
    width: int
    height: int
    bytes: int


@dataclass(frozen=True, slots=True)
class Timing:
    """Seconds by a monotonic clock, and bytes on the way to the service.

    Attributes
    ----------
    upload_s
        Creating and filling the asset; None on the inline route.
    first_token_s
        From the start of `ask` to the first piece of text; None where no text came.
    total_s
        From the start of `ask` to the end of the answer.
    bytes_sent
        All request bodies together.
    """

    upload_s: float | None
    first_token_s: float | None
    total_s: float
    bytes_sent: int
