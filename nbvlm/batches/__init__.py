"""Parts of `nbvlm.batch`: where pictures come from, the journal, the limits, the crew, the cluster."""

from __future__ import annotations

from nbvlm.batches.engines import register_key

__all__ = ["register_key"]
