#!/bin/sh
# Usage: scripts/lab.sh [PORT]
# JupyterLab of .venv on the quick-start, reachable from this machine only; the next free port from PORT on.
set -eu

set -- --ServerApp.ip=127.0.0.1 --ServerApp.port="${1:-8888}"
[ "$(id -u)" -eq 0 ] && set -- "$@" --allow-root
if [ "$(uname)" != Darwin ] && [ -z "${DISPLAY:-}${WAYLAND_DISPLAY:-}" ]; then
    echo "There is no display here: open the address that JupyterLab prints below in a browser of this machine."
    set -- "$@" --no-browser
fi
echo "JupyterLab is starting; Ctrl+C twice ends it."
export JUPYTER_PREFER_ENV_PATH=1
exec .venv/bin/python -m jupyterlab "$@" notebooks/quickstart.ipynb
