"""Many pictures: plan, journal, limits, workers, tables, clusters."""

from __future__ import annotations

from nbvlm.batches.api import abatch, batch, ibatch, map_partitions, results
from nbvlm.batches.cluster import register_key
from nbvlm.batches.rate_limit import RateLimiter
from nbvlm.batches.rows import Row, Table
from nbvlm.batches.run import Run

__all__ = [
    "RateLimiter",
    "Row",
    "Run",
    "Table",
    "abatch",
    "batch",
    "ibatch",
    "map_partitions",
    "register_key",
    "results",
]
