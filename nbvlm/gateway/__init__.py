"""The gateway of a class: one key for all students, with quotas, fair turns and a page for the teacher."""

from __future__ import annotations

from nbvlm import _lazy

TYPE_CHECKING = False
if TYPE_CHECKING:
    from nbvlm.gateway.config import EXAMPLE as EXAMPLE
    from nbvlm.gateway.config import Config as Config
    from nbvlm.gateway.config import demo as demo
    from nbvlm.gateway.config import load as load
    from nbvlm.gateway.config import parsed as parsed
    from nbvlm.gateway.running import Gateway as Gateway
    from nbvlm.gateway.running import application as application
    from nbvlm.gateway.running import hub_of as hub_of
    from nbvlm.gateway.running import server as server
    from nbvlm.gateway.upstream import Upstream as Upstream

__getattr__, __dir__, __all__ = _lazy.attach(
    __name__,
    {
        "nbvlm.gateway.config": "EXAMPLE Config demo load parsed",
        "nbvlm.gateway.running": "Gateway application hub_of server",
        "nbvlm.gateway.upstream": "Upstream",
    },
)
