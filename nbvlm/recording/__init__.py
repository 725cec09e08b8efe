"""Record answers of a service and replay them without it."""

from __future__ import annotations

from nbvlm.recording.format import RecordedQuestion
from nbvlm.recording.transports import Replayer, record, replay

__all__ = ["RecordedQuestion", "Replayer", "record", "replay"]
