"""Proxies on loopback: a tunnel, over TLS too, and SOCKS; whatever is asked for, they lead to one server."""

from __future__ import annotations

import contextlib
import socket
import threading
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable, Iterator
    from urllib.parse import SplitResult

    Greet = Callable[[socket.socket], str]


@contextlib.contextmanager
def proxy(target: SplitResult, greet: Greet, tls: ssl.SSLContext | None = None) -> Iterator[Proxy]:
    """Run a proxy that leads to the host and port of `target`."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        running = Proxy(listener.getsockname()[1])

        def talk(connection: socket.socket) -> None:
            with contextlib.suppress(OSError), contextlib.ExitStack() as opened:
                opened.callback(connection.close)
                client = connection if tls is None else tls.wrap_socket(connection, server_side=True)
                opened.callback(client.close)
                running.asked.append(greet(client))
                server = opened.enter_context(socket.create_connection((target.hostname, target.port)))
                back = threading.Thread(target=_carry, args=(server, client), daemon=True)
                back.start()
                _carry(client, server)
                back.join()

        def accept() -> None:
            with contextlib.suppress(OSError):
                while True:
                    threading.Thread(target=talk, args=(listener.accept()[0],), daemon=True).start()

        threading.Thread(target=accept, daemon=True).start()
        yield running
        listener.shutdown(socket.SHUT_RDWR)  # `accept` ends


class Proxy:
    """A running proxy.

    Attributes
    ----------
    port
        Where it listens, on 127.0.0.1.
    asked
        What each connection asked for: a host, a port, and for SOCKS name and password.
    """

    def __init__(self, port: int) -> None:
        self.port = port
        self.asked: list[str] = []


def tunnel(client: socket.socket) -> str:
    """Answer CONNECT."""
    head = b""
    while not head.endswith(b"\r\n\r\n"):
        head += client.recv(1)
    client.sendall(b"HTTP/1.1 200 Connection established\r\n\r\n")
    return head.split()[1].decode()


def socks(client: socket.socket) -> str:
    """Answer SOCKS 5 (RFC 1928), with name and password (RFC 1929) where the client offers them."""
    methods = client.recv(client.recv(2)[1])
    login = ""
    client.sendall(b"\5\2" if 2 in methods else b"\5\0")
    if 2 in methods:
        given = client.recv(512)
        name, password = given[2 : 2 + given[1]], given[3 + given[1] :]
        login = f"{name.decode()}:{password.decode()}@"
        client.sendall(b"\1\0")
    asked = client.recv(512)
    assert asked[3] == 3  # the name of the host, which is looked up behind the proxy
    host, port = asked[5 : 5 + asked[4]].decode(), int.from_bytes(asked[5 + asked[4] :], "big")
    client.sendall(b"\5\0\0\1\0\0\0\0\0\0")
    return f"{login}{host}:{port}"


def _carry(source: socket.socket, target: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while data := source.recv(65_536):
            target.sendall(data)
    for end in (source, target):
        with contextlib.suppress(OSError):
            end.shutdown(socket.SHUT_RDWR)
