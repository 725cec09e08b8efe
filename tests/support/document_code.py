"""Runs the Python code of documents, each in a namespace and a folder of its own, in one process.

Usage: document_code.py ORIGIN < documents.json > failures.json. The service of the embedded model answers at
ORIGIN in place of the hosted one and of a server on port 8000; a prompt for a key gets one as its answer.
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
from typing import TYPE_CHECKING

from nbvlm import endpoints
from nbvlm.client import keys
from nbvlm.demo.gallery import GALLERY

if TYPE_CHECKING:
    from collections.abc import Callable

TYPED = "nvapi-typed-by-nobody"
ELSEWHERE = (
    "google/paligemma2-3b-mix-448",
    "google/gemma-4-31b-it",
    "gemini-3.7-flash",
    "gpt-6.1",
    "qwen/qwen3-vl-8b-instruct",
)


def meant(code: str) -> str:
    """Replace what a document says by what is here."""
    code = code.replace("http://127.0.0.1:8000", os.environ["NBVLM_BASE_URL"])
    for model in ELSEWHERE:
        code = code.replace(model, "nbvlm/demo")
    return code


def shell() -> Callable[[str], None]:
    """Return what runs a cell of a notebook, magics included."""
    from IPython.core.interactiveshell import InteractiveShell

    shell = InteractiveShell()
    return lambda cell: shell.run_cell(cell).raise_error()


def python(name: str) -> Callable[[str], None]:
    """Return what runs plain Python, in one namespace."""
    namespace = {"__name__": "__main__"}
    return lambda cell: exec(compile(cell, name, "exec"), namespace)


def run(name: str, cells: list[tuple[str, str]]) -> str:
    """Return the traceback, or "" if all went well."""
    one = shell() if any(kind == "ipython" for kind, _ in cells) else python(name)
    with tempfile.TemporaryDirectory() as folder, contextlib.chdir(folder):
        GALLERY[0].picture().save("photo.jpg", quality=90)
        try:
            with contextlib.redirect_stdout(io.StringIO()):
                for _, cell in cells:
                    one(meant(cell))
        except Exception:  # noqa: BLE001 - whatever a document's code raises is its failure
            return traceback.format_exc()
        finally:
            keys.forget()
    return ""


def main(origin: str) -> None:
    warnings.simplefilter("error")
    os.environ |= {"NBVLM_BASE_URL": origin, "NBVLM_ASSETS_URL": origin}
    for service in endpoints.SERVICES.values():
        if service.address:
            os.environ[service.address] = f"{origin}/v1"
        os.environ |= dict.fromkeys(service.variables if service.name != "nvidia" else (), TYPED)
    getpass.getpass = lambda prompt="": TYPED
    json.dump({name: run(name, cells) for name, cells in json.load(sys.stdin).items()}, sys.stdout)


if __name__ == "__main__":
    main(*sys.argv[1:])
