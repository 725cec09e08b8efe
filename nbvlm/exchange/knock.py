"""A knock at a server's door: whether anybody answers, whatever the answer is."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nbvlm.exchange.calls import call, request
from nbvlm.exchange.drive import Driver
from nbvlm.exchange.pools import Pools
from nbvlm.exchange.recent import Recent
from nbvlm.exchange.steps import Context
from nbvlm.exchange.timeouts import Watch
from nbvlm.retry import Retry

if TYPE_CHECKING:
    from nbvlm.exchange.settings import Settings
    from nbvlm.exchange.steps import Flow

__all__ = ["knock"]


def knock(settings: Settings) -> int:
    """Send one request without a key, picture or question, the way a client would.

    Parameters
    ----------
    settings
        Whose address, limits and certificates.

    Returns
    -------
    int
        HTTP status; any is a sign of life.

    Raises
    ------
    TransportError, TimeoutError
        If nothing comes back.
    """
    transport = Pools()
    driver = Driver(_knock(settings), transport, Recent())
    try:
        for _ in driver.run():
            pass
    finally:
        transport.close()
    status: int = driver.result
    return status


def _knock(settings: Settings) -> Flow[int]:
    context = Context(settings, Watch(settings.timeouts), set(), None)
    context.watch.enter("first_token")

    def build() -> object:
        return request(context, "GET", settings.url, headers={}, key=False)

    response = yield from call(
        context,
        build,  # type: ignore[arg-type] # httpx stays in its own places
        allowed=frozenset(range(400, 600)),
        retry=Retry.never(),
    )
    return int(response.status_code)
