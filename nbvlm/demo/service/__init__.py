"""The local service: the hosted service's protocol and OpenAI's, over HTTP.

The names here are parts that the gateway of a class is made of, too.
"""

from __future__ import annotations

from nbvlm import _lazy

TYPE_CHECKING = False
if TYPE_CHECKING:
    from nbvlm.demo.service.asgi import Receive as Receive
    from nbvlm.demo.service.asgi import Scope as Scope
    from nbvlm.demo.service.asgi import Send as Send
    from nbvlm.demo.service.asgi import request_head as request_head
    from nbvlm.demo.service.asgi import send_head as send_head
    from nbvlm.demo.service.asgi import send_part as send_part
    from nbvlm.demo.service.assets import AssetApi as AssetApi
    from nbvlm.demo.service.assets import Bucket as Bucket
    from nbvlm.demo.service.bodies import Bodies as Bodies
    from nbvlm.demo.service.bodies import Disconnected as Disconnected
    from nbvlm.demo.service.bodies import body_size as body_size
    from nbvlm.demo.service.bodies import read_body as read_body
    from nbvlm.demo.service.chat_completions import refusal as refusal
    from nbvlm.demo.service.limits import SERVED as SERVED
    from nbvlm.demo.service.limits import Limits as Limits
    from nbvlm.demo.service.messages import Refusal as Refusal
    from nbvlm.demo.service.messages import Reply as Reply
    from nbvlm.demo.service.messages import Request as Request
    from nbvlm.demo.service.messages import as_event as as_event
    from nbvlm.demo.service.messages import as_json as as_json
    from nbvlm.demo.service.messages import nvcf_headers as nvcf_headers
    from nbvlm.demo.service.messages import problem as problem
    from nbvlm.demo.service.messages import server_error as server_error
    from nbvlm.demo.service.messages import text as text
    from nbvlm.demo.service.messages import xml as xml
    from nbvlm.demo.service.pictures import EncodedPicture as EncodedPicture
    from nbvlm.demo.service.pictures import InvalidPicture as InvalidPicture
    from nbvlm.demo.service.pictures import from_base64 as from_base64
    from nbvlm.demo.service.request_body import Inline as Inline
    from nbvlm.demo.service.request_body import Source as Source
    from nbvlm.demo.service.request_body import Uploaded as Uploaded
    from nbvlm.demo.service.request_body import clean as clean
    from nbvlm.demo.service.request_body import parts as parts
    from nbvlm.demo.service.request_body import source as source
    from nbvlm.demo.service.request_body import split as split
    from nbvlm.demo.service.responses import DONE as DONE
    from nbvlm.demo.service.responses import EVENT_STREAM as EVENT_STREAM
    from nbvlm.demo.service.responses import Accept as Accept
    from nbvlm.demo.service.responses import about as about
    from nbvlm.demo.service.responses import usage as usage
    from nbvlm.demo.service.schema import Faults as Faults
    from nbvlm.demo.service.schema import Invalid as Invalid
    from nbvlm.demo.service.schema import flag as flag
    from nbvlm.demo.service.schema import members as members
    from nbvlm.demo.service.schema import number as number
    from nbvlm.demo.service.schema import read_json as read_json
    from nbvlm.demo.service.server import asgi_server as asgi_server
    from nbvlm.demo.service.server import hosts as hosts
    from nbvlm.demo.service.server import listen as listen
    from nbvlm.demo.service.server import origin as origin
    from nbvlm.demo.service.service import Service as Service
    from nbvlm.demo.service.service import network as network
    from nbvlm.demo.service.service import sized as sized

__getattr__, __dir__, __all__ = _lazy.attach(
    __name__,
    {
        "nbvlm.demo.service.asgi": "Receive Scope Send request_head send_head send_part",
        "nbvlm.demo.service.assets": "AssetApi Bucket",
        "nbvlm.demo.service.bodies": "Bodies Disconnected body_size read_body",
        "nbvlm.demo.service.chat_completions": "refusal",
        "nbvlm.demo.service.limits": "SERVED Limits",
        "nbvlm.demo.service.messages": (
            "Refusal Reply Request as_event as_json nvcf_headers problem server_error text xml"
        ),
        "nbvlm.demo.service.pictures": "EncodedPicture InvalidPicture from_base64",
        "nbvlm.demo.service.request_body": "Inline Source Uploaded clean parts source split",
        "nbvlm.demo.service.responses": "DONE EVENT_STREAM Accept about usage",
        "nbvlm.demo.service.schema": "Faults Invalid flag members number read_json",
        "nbvlm.demo.service.server": "asgi_server hosts listen origin",
        "nbvlm.demo.service.service": "Service network sized",
    },
)
