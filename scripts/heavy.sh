#!/bin/sh
# The heavy tests, with PyTorch and transformers where they can be installed: the tests that need them are
# skipped otherwise.
set -eu

if ! .venv/bin/python -c 'import torch, torchvision, transformers, accelerate' >/dev/null 2>&1; then
    echo "Installing PyTorch and transformers in .venv; they are large …"
    .venv/bin/python -m pip install -qq --no-input --disable-pip-version-check -e ".[train,local]" ||
        echo "They could not be installed: the tests that need them are skipped."
fi
sh scripts/hosts.sh || echo "Solara, HoloViz Panel or marimo could not be installed: the test of each that is missing is skipped."
exec .venv/bin/python -m pytest -m heavy
