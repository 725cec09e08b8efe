#!/bin/sh
# Usage: scripts/lab.sh [PORT]
# JupyterLab of .venv on the quick-start, reachable from this machine only, on the next free port from PORT on.
set -eu

set -- --ServerApp.ip=127.0.0.1 --ServerApp.port="${1:-8888}" --ServerApp.root_dir=notebooks \
    --LabApp.default_url=/lab/tree/quickstart.ipynb --log-level=WARN
if [ "$(id -u)" -eq 0 ]; then
    set -- "$@" --allow-root
fi
if [ "$(uname)" != Darwin ] && [ -z "${DISPLAY:-}${WAYLAND_DISPLAY:-}" ]; then
    echo "There is no display here: open the address below in a browser on this computer."
    set -- "$@" --no-browser
fi
echo "JupyterLab is starting; Ctrl+C twice ends it."
export JUPYTER_PREFER_ENV_PATH=1 # the kernel of this environment, whatever else the user has installed
exec .venv/bin/python -m jupyterlab "$@"
