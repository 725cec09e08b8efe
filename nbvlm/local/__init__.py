"""Models of Hugging Face in this process, behind the protocol of the embedded ones: `Client("local")`."""

from __future__ import annotations

from nbvlm import _lazy

TYPE_CHECKING = False
if TYPE_CHECKING:
    from nbvlm.local.loading import free as free
    from nbvlm.local.loading import keep as keep
    from nbvlm.local.memory import Fit as Fit
    from nbvlm.local.memory import device_memory as device_memory
    from nbvlm.local.memory import devices as devices
    from nbvlm.local.memory import fitting as fitting
    from nbvlm.local.options import LocalOptions as LocalOptions
    from nbvlm.local.service import LocalModel as LocalModel
    from nbvlm.local.service import LocalTransport as LocalTransport

__getattr__, __dir__, __all__ = _lazy.attach(
    __name__,
    {
        "nbvlm.local.loading": "free keep",
        "nbvlm.local.memory": "Fit device_memory devices fitting",
        "nbvlm.local.options": "LocalOptions",
        "nbvlm.local.service": "LocalModel LocalTransport",
    },
)
