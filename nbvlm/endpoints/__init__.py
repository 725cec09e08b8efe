"""Who can be asked: the facts about served models and services, as data.

A client validates a request against its entry before any network use. The hosted PaliGemma and the embedded
demo model share dialect, path, ranges and inline limit, so that the client handles both alike.
"""

from __future__ import annotations

from nbvlm import _lazy

TYPE_CHECKING = False
if TYPE_CHECKING:
    from nbvlm.endpoints.catalog import CHECKED as CHECKED
    from nbvlm.endpoints.catalog import EMBEDDED as EMBEDDED
    from nbvlm.endpoints.catalog import ENDPOINTS as ENDPOINTS
    from nbvlm.endpoints.catalog import HOSTED as HOSTED
    from nbvlm.endpoints.catalog import INTEGRATE as INTEGRATE
    from nbvlm.endpoints.catalog import RETIRED as RETIRED
    from nbvlm.endpoints.catalog import Retired as Retired
    from nbvlm.endpoints.gateway import FACTS as FACTS
    from nbvlm.endpoints.gateway import GATEWAY as GATEWAY
    from nbvlm.endpoints.gateway import STANDING as STANDING
    from nbvlm.endpoints.gateway import described as described
    from nbvlm.endpoints.gateway import facts_of as facts_of
    from nbvlm.endpoints.gateway import gateway_address as gateway_address
    from nbvlm.endpoints.gateway import gateway_endpoint as gateway_endpoint
    from nbvlm.endpoints.gateway import join_gateway as join_gateway
    from nbvlm.endpoints.gateway import named as named
    from nbvlm.endpoints.gateway import service_of as service_of
    from nbvlm.endpoints.gateway import through_hub as through_hub
    from nbvlm.endpoints.local import LocalServer as LocalServer
    from nbvlm.endpoints.local import find_local as find_local
    from nbvlm.endpoints.local import look as look
    from nbvlm.endpoints.local import only_model as only_model
    from nbvlm.endpoints.lookup import alternatives as alternatives
    from nbvlm.endpoints.lookup import embedded as embedded
    from nbvlm.endpoints.lookup import get as get
    from nbvlm.endpoints.lookup import openai as openai
    from nbvlm.endpoints.models import ListRequest as ListRequest
    from nbvlm.endpoints.models import Model as Model
    from nbvlm.endpoints.models import known as known
    from nbvlm.endpoints.models import listing as listing
    from nbvlm.endpoints.models import sees as sees
    from nbvlm.endpoints.services import SERVICES as SERVICES
    from nbvlm.endpoints.services import Service as Service
    from nbvlm.endpoints.services import address as address
    from nbvlm.endpoints.services import owner as owner
    from nbvlm.endpoints.values import Endpoint as Endpoint
    from nbvlm.endpoints.values import Parameter as Parameter

__getattr__, __dir__, __all__ = _lazy.attach(
    __name__,
    {
        "nbvlm.endpoints.catalog": "CHECKED EMBEDDED ENDPOINTS HOSTED INTEGRATE RETIRED Retired",
        "nbvlm.endpoints.gateway": (
            "FACTS GATEWAY STANDING described facts_of gateway_address gateway_endpoint join_gateway named "
            "service_of through_hub"
        ),
        "nbvlm.endpoints.local": "LocalServer find_local look only_model",
        "nbvlm.endpoints.lookup": "alternatives embedded get openai",
        "nbvlm.endpoints.models": "ListRequest Model known listing sees",
        "nbvlm.endpoints.services": "SERVICES Service address owner",
        "nbvlm.endpoints.values": "Endpoint Parameter",
    },
)
