"""Many pictures: plan, journal, limits, workers, tables, clusters."""

from __future__ import annotations

from nbvlm.batches.api import abatch, batch, ibatch, map_partitions, results
from nbvlm.batches.cluster import register_key

__all__ = ["abatch", "batch", "ibatch", "map_partitions", "register_key", "results"]
