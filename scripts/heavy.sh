#!/bin/sh
# The heavy tests, with PyTorch where it can be installed: the tests that compare with it are skipped otherwise.
set -eu

if ! .venv/bin/python -c 'import torch' >/dev/null 2>&1; then
    echo "Installing PyTorch in .venv; it is large …"
    .venv/bin/python -m pip install -qq --no-input --disable-pip-version-check -e ".[train]" ||
        echo "PyTorch could not be installed: the tests that need it are skipped."
fi
exec .venv/bin/python -m pytest -m heavy
