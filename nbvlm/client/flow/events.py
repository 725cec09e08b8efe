"""The events of an answer while it comes.

Frozen values. An answer is hundreds of them, and a msgspec structure is made in a seventh of the time that a
frozen dataclass takes.

>>> TextDelta("a red car").text
'a red car'
"""

from __future__ import annotations

import msgspec

from nbvlm.grounding import Detection  # noqa: TC001 - the signature of a msgspec structure reads it

__all__ = ["DetectionFound", "Event", "ReasoningDelta", "Status", "TextDelta"]


class TextDelta(msgspec.Struct, frozen=True, gc=False):
    """A piece of the answer, raw, tokens included; all of them joined are `Result.text`.

    If a late `</think>` shows that the text before it was thinking, that text moves to `Result.reasoning`.

    Attributes
    ----------
    text
        The piece, as it came.
    """

    text: str


class ReasoningDelta(msgspec.Struct, frozen=True, gc=False):
    """A piece of a model's thinking; all of them joined are `Result.reasoning`. No box is read from it.

    Attributes
    ----------
    text
        The piece, without the marks around the thinking.
    """

    text: str


class DetectionFound(msgspec.Struct, frozen=True):
    """A box, complete with its label, as soon as the text allows it.

    Attributes
    ----------
    detection
        In pixels of the upright picture.
    """

    detection: Detection


class Status(msgspec.Struct, frozen=True):
    """What the client is doing before the answer comes.

    Attributes
    ----------
    kind
        "upload" (the picture travels to the asset service), "waiting" (the request is on its way),
        "queued" (the service works on it and asked to be polled, or it waits for its turn), "quota" (what a
        class gateway still allows), "retry" (a pause before the next try), or for a model in this process
        "download" (its files come) and "loading" (it is read into memory).
    seconds
        Since the start, of a download and of loading since that began; for "retry" the length of the pause.
    done, total
        Bytes of an upload, a download or of memory while loading; attempts made and allowed of a retry; place
        in the queue, 1 for the next, and questions in it; questions left and allowed of a quota; else None.
    files
        Files of a download; else None.
    """

    kind: str
    seconds: float
    done: int | None = None
    total: int | None = None
    files: int | None = None


Event = TextDelta | ReasoningDelta | DetectionFound | Status
