"""A knock at a server's door: whether anybody answers, whatever the answer is."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nbvlm.client.driver import Driver, Recent
from nbvlm.client.flow.calls import call, request
from nbvlm.client.flow.steps import Context
from nbvlm.client.policies import Retry, Watch
from nbvlm.client.pools import Pools

if TYPE_CHECKING:
    from nbvlm.client.flow.steps import Flow
    from nbvlm.client.settings import Settings

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
