"""The embedded models and their service: answers without a key, on this machine."""

from __future__ import annotations

from nbvlm import _lazy

TYPE_CHECKING = False
if TYPE_CHECKING:
    from nbvlm.demo import gallery as gallery
    from nbvlm.demo import scenes as scenes
    from nbvlm.demo import speaking as speaking
    from nbvlm.demo import wordings as wordings
    from nbvlm.demo.service.limits import SERVED as SERVED
    from nbvlm.demo.service.server import hosts as hosts
    from nbvlm.demo.service.server import listen as listen
    from nbvlm.demo.service.server import origin as origin
    from nbvlm.demo.service.server import server as server
    from nbvlm.demo.service.service import Service as Service
    from nbvlm.demo.transport import DemoTransport as DemoTransport

__getattr__, __dir__, __all__ = _lazy.attach(
    __name__,
    {
        "nbvlm.demo.service.limits": "SERVED",
        "nbvlm.demo.service.server": "hosts listen origin server",
        "nbvlm.demo.service.service": "Service",
        "nbvlm.demo.transport": "DemoTransport",
    },
    modules=("gallery", "scenes", "speaking", "wordings"),
)
