#!/bin/sh
# Usage: scripts/environment.sh EXTRA [FOLDER [REQUIREMENT...]]
# Makes FOLDER (.venv) an environment that holds this checkout with the optional dependencies EXTRA, and more.
# A stamp in it says what it holds, so that this is done once, and again after pyproject.toml, the checkout's
# own path or the Python has changed.
set -eu

extra=$1
venv=${2:-.venv}
[ $# -lt 2 ] || shift
shift
stamp=$venv/.nbvlm
here=$(pwd -P)

fail() {
    echo "nbvlm: $*" >&2
    exit 1
}

works() { # PYTHON: it runs, and is new enough
    "$1" -c 'import sys; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1
}

# --- Is there anything to do? ------------------------------------------------------------------------------

digest="$(cat pyproject.toml scripts/environment.sh | cksum) $here $*"
if works "$venv/bin/python" && [ -f "$stamp" ]; then
    { IFS= read -r held && IFS= read -r of; } <"$stamp" || true
    if [ "${of:-}" = "$digest" ] && { [ "${held:-}" = "$extra" ] || [ "${held:-}" = dev ]; }; then
        exit 0
    fi
    [ "${held:-}" = dev ] && extra=dev
fi

# --- A Python that can make an environment -----------------------------------------------------------------

python=
if [ -n "${PYTHON:-}" ]; then
    works "$PYTHON" || fail "PYTHON=$PYTHON is not a Python of version 3.11 or newer."
    python=$PYTHON
fi
for name in python3 python3.13 python3.12 python3.11; do
    if [ -z "$python" ] && works "$name"; then
        python=$name
    fi
done
if [ -z "$python" ]; then
    found=$(python3 --version 2>/dev/null) || found="not there"
    fail "Python 3.11 or newer is needed, and neither python3 ($found) nor python3.11, 3.12 or 3.13 is that." \
        "Install one and run this again, or name it: make PYTHON=/path/to/python3 …"
fi

if ! "$python" -c 'import venv, ensurepip' >/dev/null 2>&1; then
    package=$("$python" -c 'import sys; print("python%d.%d-venv" % sys.version_info[:2])')
    sh scripts/apt-install.sh "$package" ||
        fail "$python cannot make an environment: the package $package is missing (as root: apt-get install $package)."
fi

# --- The environment, and this checkout in it --------------------------------------------------------------

if [ -e "$venv" ] && [ ! -w "$venv" ]; then
    fail "$here/$venv belongs to another user: remove it, or use a checkout of your own."
fi
began=$(date +%s)
rm -f "$stamp"
if ! works "$venv/bin/python" || ! "$venv/bin/python" -m pip --version >/dev/null 2>&1; then
    "$python" -m venv --clear "$venv" || fail "$python could not make the environment $here/$venv (its own words are above)."
fi
echo "Installing nbvlm[$extra] in $venv with $("$venv/bin/python" --version); the first time takes a few minutes …"
"$venv/bin/python" -m pip install -qq --no-input --disable-pip-version-check -e ".[$extra]" "$@" ||
    fail "pip could not install nbvlm[$extra] (its own words are above). It needs the network, or a mirror in pip's settings."
# JupyterLab otherwise asks at its first start whether it may fetch news, and looks for updates.
"$venv/bin/python" -m jupyter labextension disable --level=sys_prefix @jupyterlab/apputils-extension:announcements \
    >/dev/null 2>&1 || true
printf '%s\n%s\n' "$extra" "$digest" >"$stamp"
echo "$venv is ready after $(($(date +%s) - began)) s."
