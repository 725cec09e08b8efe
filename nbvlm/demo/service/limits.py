"""The limits of a service, in all and for one caller.

>>> SERVED.waiting_of_caller
64
"""

from __future__ import annotations

from dataclasses import dataclass, replace

__all__ = ["IN_PROCESS", "SERVED", "Limits"]

_MIB = 1024 * 1024
_NO_BODY = 64 * 1024  # bytes of a body that a GET or DELETE may have


@dataclass(frozen=True, slots=True)
class Limits:
    """Limits of one service; sizes in bytes, times in seconds.

    They add up: bodies, stored pictures, connections and one large picture while it is decoded stay below
    700 MB together.
    """

    body: int = 25 * _MIB  # of a question
    upload: int = 32 * _MIB
    pixels: int = 64_000_000  # of a picture
    bodies: int = 96 * _MIB  # all that are being received, and all of waiting questions
    bodies_of_caller: int = 32 * _MIB
    store: int = 96 * _MIB  # all uploaded pictures
    store_of_caller: int = 48 * _MIB
    spare: int = 1  # answers at once, beside those of a caller with many
    waiting: int = 256  # questions that wait for their turn
    waiting_of_caller: int = 64
    rest: float = 3.0  # times the time that reading a question took, until the caller's next one is read
    connections: int = 512
    connections_of_peer: int = 256
    head: int = 16 * 1024
    head_s: float = 10.0  # until a request head is complete
    body_s: float = 60.0  # until a body is complete
    pause_s: float = 10.0  # between two parts of a body; until there is room for a body
    write_s: float = 30.0  # until a reader takes more of its answer

    def room(self, method: str) -> int:
        """Return the largest allowed body of a request, in bytes."""
        return {"PUT": self.upload, "POST": self.body}.get(method, _NO_BODY)


SERVED = Limits()
"""Limits of a service on a socket."""
_MANY = 1 << 30
IN_PROCESS = replace(
    SERVED,
    spare=0,
    rest=0.0,
    upload=128 * _MIB,
    pixels=120_000_000,  # as many as `Picture.load` takes
    store=512 * _MIB,
    store_of_caller=512 * _MIB,
    waiting=_MANY,
    waiting_of_caller=_MANY,
)
"""Limits where the only caller is this process."""
