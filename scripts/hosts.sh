#!/bin/sh
# The environments of Solara, HoloViz Panel and marimo, for the tests in them, under build/environments.
# Solara's pages load nothing from elsewhere in this release, with the package of its assets.
set -eu

make() { # NAME PROGRAM REQUIREMENT...
    folder=build/environments/$1
    program=$2
    shift 2
    [ -x $folder/bin/python ] || .venv/bin/python -m venv $folder
    [ -x $folder/bin/$program ] ||
        $folder/bin/python -m pip install -qq --no-input --disable-pip-version-check -e . "$@"
}

make solara solara "solara==1.58.2" "solara-ui==1.58.2" "solara-server[starlette]==1.58.2" "solara-assets==1.58.2"
make holoviz panel "panel>=1.9,<2" "ipywidgets_bokeh>=1.8,<2"
make marimo marimo "marimo>=0.25,<0.26"
