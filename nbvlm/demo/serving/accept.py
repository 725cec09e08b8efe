"""What a caller is ready to read."""

from __future__ import annotations

from dataclasses import dataclass

from nbvlm.demo.serving.wire import Refusal, Request, problem

__all__ = ["Accept"]


@dataclass(frozen=True, slots=True)
class Accept:
    """The `Accept` header, as far as the service looks at it.

    Parameters
    ----------
    events
        Whether an event stream may be sent, by name or by a wildcard.
    event_stream
        Whether `text/event-stream` is named: faults of the body then come as they are.
    """

    events: bool
    event_stream: bool

    @classmethod
    def of(cls, request: Request) -> Accept:
        """Read the header; without one everything is accepted.

        Raises
        ------
        Refusal
            406 when neither JSON nor an event stream is accepted.
        """
        header = request.header("accept") or "*/*"
        kinds = {kind.partition(";")[0].strip().lower() for kind in header.split(",")}
        events = bool(kinds & {"text/event-stream", "text/*", "*/*"})
        if not events and not kinds & {"application/json", "application/*", "application/problem+json"}:
            raise Refusal(problem(406, detail="Answers are application/json or text/event-stream"))
        return cls(events, "text/event-stream" in kinds)
