"""All tests, in two processes: those in a browser mostly wait for pages, so the others run beside them.

Usage: tests.py [OPTION OF PYTEST …]. First come the examples in docstrings; the output of the browser's tests
follows that of the others.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile

BROWSER = "tests/browser"


def main() -> int:
    """Run all, and return an exit status that is not 0 if one failed."""
    pytest = [sys.executable, "-m", "pytest", *sys.argv[1:]]
    with tempfile.TemporaryFile() as output:
        # The cache is the other process's: both would write it.
        beside = subprocess.Popen(
            [*pytest, "-p", "no:cacheprovider", BROWSER], stdout=output, stderr=subprocess.STDOUT
        )
        try:
            failed = subprocess.call([*pytest, "--doctest-modules", "nbvlm"])
            failed = subprocess.call([*pytest, f"--ignore={BROWSER}"]) or failed
            failed = beside.wait() or failed
        finally:
            beside.kill()
            beside.wait()
            output.seek(0)
            sys.stdout.flush()
            sys.stdout.buffer.write(output.read())
    return failed


if __name__ == "__main__":
    sys.exit(main())
