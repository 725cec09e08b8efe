"""Record answers of a service and replay them without it."""

from __future__ import annotations

from nbvlm.recording.transports import record, replay

__all__ = ["record", "replay"]
