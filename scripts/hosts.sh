#!/bin/sh
# The environment of Solara, for the test of the panel in it: build/environments/solara.
# Pages of this release load nothing from elsewhere, with the package of its assets.
set -eu

folder=build/environments/solara
[ -x $folder/bin/python ] || .venv/bin/python -m venv $folder
[ -x $folder/bin/solara ] || $folder/bin/python -m pip install -qq --no-input --disable-pip-version-check -e . \
    "solara==1.58.2" "solara-ui==1.58.2" "solara-server[starlette]==1.58.2" "solara-assets==1.58.2"
