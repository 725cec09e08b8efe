"""`nbvlm gateway`: one key for a whole class."""

from __future__ import annotations

import contextlib
import gc
import logging
from pathlib import Path
from typing import TYPE_CHECKING

from nbvlm._background import run_in_thread
from nbvlm.cli.allocator import give_memory_back
from nbvlm.cli.terminal import print_error, print_line
from nbvlm.errors import ParameterError

if TYPE_CHECKING:
    import argparse

    from nbvlm.gateway import Config, Gateway

__all__ = ["arguments", "run"]


def arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of the command."""
    parser.add_argument("config", nargs="?", metavar="FILE", help="the configuration, a TOML file")
    parser.add_argument(
        "--demo", action="store_true", help="run at once with the embedded models and a temporary store"
    )
    parser.add_argument("--example", action="store_true", help="print a configuration to begin with, and end")
    parser.add_argument("--check", action="store_true", help="check the configuration, and end")
    parser.add_argument(
        "--teacher-code",
        action="store_true",
        help="make a new code for the teacher's page; the old one stops working",
    )
    parser.add_argument("--port", type=int, help="port in place of the configuration's; 0 chooses a free one")
    parser.add_argument("--verbose", action="store_true", help="log refused requests on the error stream")


def run(options: argparse.Namespace) -> int:
    """Serve until Ctrl-C, or until the JupyterHub ends it."""
    from nbvlm import gateway

    if options.example:
        print_line(gateway.EXAMPLE, end="")
        return 0
    if options.demo == (options.config is not None):
        raise ParameterError(
            "Give either FILE or --demo.",
            hint="nbvlm gateway --example > gateway.toml makes a file.",
        )
    config = gateway.demo() if options.demo else gateway.load(Path(options.config))
    if options.verbose:
        logging.basicConfig(level=logging.WARNING, format="%(asctime)s %(message)s")
        logging.getLogger("nbvlm.gateway").setLevel(logging.INFO)
    return _serve(config, options)


def _serve(config: Config, options: argparse.Namespace) -> int:
    from nbvlm import gateway
    from nbvlm.cli.output import TextWriter
    from nbvlm.demo import hosts, listen, origin

    hub = gateway.hub_of(config)
    host, port = hub.listen if hub is not None else (config.listen.host, config.listen.port)
    if options.port is not None and hub is None:
        port = options.port
    if options.check:
        gateway.Upstream(config)
        print_line("The configuration is good.")
        return 0
    give_memory_back()
    with listen(host, port) as listener:
        names = None if hub is not None else hosts(listener, *config.listen.hosts)
        running = gateway.Gateway(config, hub, hosts=names)
        address = origin(listener)
        if config.listen.tls_certificate:
            address = address.replace("http://", "https://", 1)
        running.address = running.address or address
        server = gateway.server(running)
        _announce(running, new=options.teacher_code)
        writer = TextWriter()
        run_in_thread(running.upstream.load(running.rules.now.model, writer.event))
        gc.collect()
        gc.freeze()  # what lives as long as the gateway is not looked through again and again
        with contextlib.suppress(KeyboardInterrupt):
            server.run(sockets=[listener])
        gc.unfreeze()  # else libraries report their objects as lost when Python ends
    return 0


def _announce(gateway: Gateway, *, new: bool) -> None:
    joins, config = gateway.joins, gateway.config
    print_line(f"{config.class_.title} asks {gateway.upstream.describe()}.")
    if joins is None:
        return
    if new:
        joins.renew_teacher()
    code = joins.class_code
    print_line(
        f"Students: {gateway.address}  {f'code {code}' if code else 'codes on the page of the teacher'}"
    )
    print_line(f"Teacher:  {gateway.address}/teacher")
    if joins.new_teacher_code is not None:
        shown = "(it is shown this once; --teacher-code makes a new one)"
        print_line(f"          code {joins.new_teacher_code}  {shown}")
    host = config.listen.host
    if not config.listen.tls_certificate and not host.startswith("127.") and host not in ("::1", "localhost"):
        print_error("nbvlm gateway: without TLS, others in this network can read tokens and pictures.")
