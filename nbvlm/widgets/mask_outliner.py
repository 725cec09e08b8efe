"""Masks as SVG paths: decoded in the background, and sent to a viewer when they are ready."""

from __future__ import annotations

import asyncio
import threading
from typing import TYPE_CHECKING

from nbvlm._background import Task
from nbvlm.errors import Error
from nbvlm.grounding import decode_masks, mask_svg_path

if TYPE_CHECKING:
    from collections.abc import Iterable

    from nbvlm.grounding import LazyMask
    from nbvlm.widgets.viewer import Viewer

__all__ = ["MaskOutliner"]

#: Seconds between two messages with masks, and the most masks of one.
MASK_INTERVAL = 1 / 6
_MASKS = 32


class MaskOutliner:
    """Decodes the masks of the boxes on the screen, and sends them there when they are ready.

    The first mask of all may wait for its decoder to be downloaded; boxes and text never wait for it.
    """

    def __init__(self, viewer: Viewer) -> None:
        self._viewer = viewer
        self._lock = threading.Lock()
        self._turn = -1
        self._seen: set[int] = set()
        self._wanted: list[tuple[int, LazyMask]] = []
        self._busy = False

    def want(self, wanted: Iterable[tuple[int, LazyMask]]) -> None:
        """Ask for the masks of some boxes on the screen, by their numbers there.

        Those that do not exist are skipped, and so are those that were asked for before.
        """
        with self._lock:
            if self._turn != self._viewer.turn:
                self._turn, self._seen, self._wanted = self._viewer.turn, set(), []
            for index, mask in wanted:
                if mask.known and index not in self._seen:
                    self._seen.add(index)
                    self._wanted.append((index, mask))
            if self._wanted and not self._busy:
                self._busy = True
                Task(self._work())

    async def _work(self) -> None:
        while (batch := self._take()) is not None:
            turn, masks = batch
            try:
                shapes = await asyncio.to_thread(_shapes, masks)
            except Exception as error:  # noqa: BLE001 - shown beside the boxes
                self._give_up(turn, error)
            else:
                self._viewer.outline(turn, shapes)
            await asyncio.sleep(MASK_INTERVAL)

    def _take(self) -> tuple[int, list[tuple[int, LazyMask]]] | None:
        with self._lock:
            batch, self._wanted = self._wanted[:_MASKS], self._wanted[_MASKS:]
            self._busy = bool(batch)
            return (self._turn, batch) if batch else None

    def _give_up(self, turn: int, error: Exception) -> None:
        with self._lock:
            if turn == self._turn:
                self._wanted = []
        reason = error.message if isinstance(error, Error) else f"{type(error).__name__} in nbvlm."
        self._viewer.remark(turn, f"The masks are not drawn. {reason}")


def _shapes(wanted: list[tuple[int, LazyMask]]) -> dict[str, str]:
    decode_masks(mask for _, mask in wanted)
    crops = ((index, mask.crop()) for index, mask in wanted)
    return {str(index): mask_svg_path(crop) for index, crop in crops if crop is not None}
