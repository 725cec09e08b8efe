"""An answer under way: asked for, and its events handed on."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from nbvlm.client import AsyncClient, Event
    from nbvlm.panel.form import Inputs
    from nbvlm.result import Result
    from nbvlm.widgets import StreamThrottle

__all__ = ["ask"]


async def ask(
    client: AsyncClient, inputs: Inputs, throttle: StreamThrottle, on_event: Callable[[Event], None]
) -> Result:
    """Stream one answer into `throttle` and return its result; `on_event` takes each event, too."""
    asked = client.stream(inputs.picture, inputs.prompt, route=inputs.route, **inputs.parameters)
    async with asked as stream:
        async for event in stream:
            on_event(event)
            throttle.take(event)
    return stream.result
