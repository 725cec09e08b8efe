"""`nbvlm doctor`: what is installed, found and reachable, each with what to do."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from nbvlm.cli.output import say

if TYPE_CHECKING:
    import argparse

    from nbvlm.cli.findings import Finding

__all__ = ["arguments", "findings", "run"]

SECONDS = 5.0

_EPILOG = """\
"ok" works, "note" works and is worth knowing, "FAIL" will not work; each comes
with what to do. No key is shown, and none is sent.

exit status: 0 if everything needed works, 1 if something will not
"""


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.epilog = _EPILOG
    parser.add_argument("--json", action="store_true", help="findings as JSON, for a program")
    parser.add_argument(
        "--endpoint", metavar="NAME", help="knock there: a hosted model's name, or a server's URL"
    )
    parser.add_argument(
        "--timeout",
        type=float,
        default=SECONDS,
        metavar="S",
        help="seconds to wait for it (default: %(default)s)",
    )


def run(options: argparse.Namespace) -> int:
    """Look at everything, and tell."""
    from nbvlm.cli.findings import report

    found = findings(options.endpoint, options.timeout)
    fine = all(finding.state != "problem" for finding in found)
    if options.json:
        say(json.dumps({"ok": fine, "findings": [finding.to_dict() for finding in found]}, indent=2))
    else:
        say(report(found))
    return 0 if fine else 1


def findings(endpoint: str | None = None, seconds: float = SECONDS) -> list[Finding]:
    """Look at everything, one thing after the other.

    Parameters
    ----------
    endpoint
        Where to knock; None for the hosted model.
    seconds
        To wait for it at most.
    """
    from nbvlm.cli import doctor_checks
    from nbvlm.cli.findings import guarded

    looks = {
        "Python": doctor_checks.python,
        "packages": doctor_checks.packages,
        "kernel": doctor_checks.kernel,
        "extensions": doctor_checks.extensions,
        "websocket": doctor_checks.websocket,
        "key": doctor_checks.key,
        "endpoint": lambda: doctor_checks.endpoint(endpoint, seconds),
        "cache": doctor_checks.cache,
        "embedded model": doctor_checks.model,
    }
    return [finding for check, look in looks.items() for finding in guarded(check, look)]
