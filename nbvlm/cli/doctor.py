"""`nbvlm doctor`: checks versions, kernel, extensions, key, endpoints and cache, with advice for each."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import TYPE_CHECKING

from nbvlm.cli.terminal import print_line

if TYPE_CHECKING:
    import argparse

    from nbvlm.cli.findings import Finding

__all__ = ["arguments", "findings", "run"]

SECONDS = 5.0

_EPILOG = """\
"ok" works, "note" works and is worth knowing, "FAIL" will not work; advice says
what to do. Endpoints are asked for lists of models, which costs nothing. The
doctor shows no key, and sends none but the token of a class to its gateway.

exit status: 0 if everything needed works, 1 if something will not
"""


def arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of the command."""
    parser.epilog = _EPILOG
    parser.add_argument("--json", action="store_true", help="write the findings as JSON, for a program")
    parser.add_argument(
        "--endpoint",
        metavar="NAME",
        help="check this endpoint only: a service's or model's name, or a server's URL",
    )
    parser.add_argument(
        "--timeout",
        type=float,
        default=SECONDS,
        metavar="S",
        help="longest wait for an answer, in seconds (default: %(default)s)",
    )


def run(options: argparse.Namespace) -> int:
    """Check everything, write the findings, and return the exit status."""
    from nbvlm.cli.findings import report

    found = findings(options.endpoint, options.timeout)
    fine = all(finding.state != "problem" for finding in found)
    if options.json:
        print_line(json.dumps({"ok": fine, "findings": [asdict(finding) for finding in found]}, indent=2))
    else:
        print_line(report(found))
    return 0 if fine else 1


def findings(endpoint: str | None = None, seconds: float = SECONDS) -> list[Finding]:
    """Run all checks, one after the other; `seconds` is the longest wait for the endpoint."""
    from nbvlm.cli import doctor_checks, endpoint_checks
    from nbvlm.cli.findings import run_check

    checks = {
        "Python": doctor_checks.python,
        "packages": doctor_checks.packages,
        "kernel": doctor_checks.kernel,
        "extensions": doctor_checks.extensions,
        "websocket": doctor_checks.websocket,
        "key": doctor_checks.key,
        "class gateway": lambda: endpoint_checks.gateway(seconds) if endpoint is None else (),
        "endpoint": lambda: endpoint_checks.check(endpoint, seconds),
        "cache": doctor_checks.cache,
        "embedded model": doctor_checks.model,
        "local models": doctor_checks.local,
    }
    return [finding for name, check in checks.items() for finding in run_check(name, check)]
