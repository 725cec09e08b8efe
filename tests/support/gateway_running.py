"""A gateway on loopback before a service on loopback, whose model says what it is told to."""

from __future__ import annotations

import threading
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import httpx
from support.service_loopback import running as running_service
from support.service_standin import StandIn

import nbvlm
from nbvlm import gateway
from nbvlm.client import Retry
from nbvlm.demo import hosts, listen, origin
from nbvlm.demo.service import Service

if TYPE_CHECKING:
    from collections.abc import Iterator

    from nbvlm.gateway import Gateway

QUIET = Retry.never()


@dataclass
class Class:
    """A running gateway with the model behind it."""

    gateway: Gateway
    origin: str
    model: StandIn
    opened: ExitStack

    def join(self, name: str) -> str:
        """Return the token of a new student."""
        return self.gateway.register.add(name)[1]

    def client(self, name: str, monkeypatch: Any, **options: Any) -> nbvlm.Client:
        """Return the client of a new student."""
        monkeypatch.setenv("NBVLM_GATEWAY", self.origin)
        options = {"retry": QUIET} | options
        return self.opened.enter_context(nbvlm.Client("gateway", api_key=self.join(name), **options))

    def browser(self) -> httpx.Client:
        """Return a browser without a page."""
        return self.opened.enter_context(httpx.Client(base_url=self.origin, follow_redirects=True))


@contextmanager
def running(model: StandIn | None = None, **sections: Any) -> Iterator[Class]:
    """Serve; `sections` are those of the configuration."""
    model = model or StandIn()
    with ExitStack() as stack:
        service = stack.enter_context(running_service(Service(model=model, at_once=8)))
        upstream = {"endpoint": "nvidia", "base_url": service, "assets_url": service, "at_once": 8}
        upstream |= {"requests_per_minute": 100_000} | sections.pop("upstream", {})
        values = {"quota": {"per_minute": 0, "per_day": 0}, "store": {"file": ""}} | sections
        config = gateway.parsed(values | {"upstream": upstream})
        listener = stack.enter_context(listen("127.0.0.1", 0))
        made = gateway.Gateway(config, hosts=hosts(listener))
        made.address = origin(listener)
        server = gateway.server(made)
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
        thread.start()
        try:
            with ExitStack() as opened:
                yield Class(made, origin(listener), model, opened)
        finally:
            server.should_exit = True
            thread.join(30)
            assert not thread.is_alive()
