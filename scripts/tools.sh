#!/bin/sh
# Usage: scripts/tools.sh REQUIREMENT...
# Makes build/environments/tools, an environment for tools that the project is not installed beside, and installs
# what is missing there.
set -eu

folder=build/environments/tools
[ -x $folder/bin/python ] || .venv/bin/python -m venv $folder
for name in "$@"; do
    $folder/bin/python -m pip show -q "$name" >/dev/null 2>&1 ||
        $folder/bin/python -m pip install -qq --no-input --disable-pip-version-check "$name"
done
