"""Runs the Python code of documents, each in a namespace and a folder of its own, in one process.

Usage: document_code.py ORIGIN < documents.json > failures.json. The service of the embedded model answers at
ORIGIN in place of the hosted one and of a server on port 8000; whoever is asked for a key, types one.
"""

from __future__ import annotations

import contextlib
import getpass
import io
import json
import os
import sys
import tempfile
import traceback
import warnings

import nbvlm
from nbvlm.demo.gallery import GALLERY
from nbvlm.exchange import keys

TYPED = "nvapi-typed-by-nobody"


def run(name: str, code: str) -> str:
    """Return the traceback, or "" if all went well."""
    with tempfile.TemporaryDirectory() as folder, contextlib.chdir(folder):
        GALLERY[0].picture().save("photo.jpg", quality=90)
        try:
            with contextlib.redirect_stdout(io.StringIO()):
                exec(compile(code, name, "exec"), {"__name__": "__main__"})
        except Exception:  # noqa: BLE001 - whatever a document's code raises is its failure
            return traceback.format_exc()
        finally:
            keys.forget()
    return ""


def main(origin: str) -> None:
    warnings.simplefilter("error")
    os.environ |= {"NBVLM_BASE_URL": origin, "NBVLM_ASSETS_URL": origin}
    getpass.getpass = lambda prompt="": TYPED
    stands_in = {"http://127.0.0.1:8000": origin, "google/paligemma2-3b-mix-448": "nbvlm/demo"}
    failures = {}
    for name, code in json.load(sys.stdin).items():
        for said, meant in stands_in.items():
            code = code.replace(said, meant)
        failures[name] = run(name, code)
    json.dump(failures, sys.stdout)


if __name__ == "__main__":
    assert nbvlm.__version__
    main(*sys.argv[1:])
