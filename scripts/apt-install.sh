#!/bin/sh
# Usage: scripts/apt-install.sh PACKAGE...
# Installs Debian packages as root, or by sudo where that asks for no password.
# Exit status 3, without a word: this machine or this user cannot. Another one: apt's own words are shown.
set -eu

command -v apt-get >/dev/null 2>&1 || exit 3
if [ "$(id -u)" -eq 0 ]; then
    root=""
elif sudo -n true >/dev/null 2>&1; then
    root="sudo -n"
else
    exit 3
fi

echo "Installing $* from the system's packages …"
log=$(mktemp)
trap 'rm -f "$log"' EXIT
options="-y -q --no-install-recommends -o DPkg::Lock::Timeout=120"
if ! {
    $root apt-get -q update || true # without network, what is known already may do
    $root env DEBIAN_FRONTEND=noninteractive apt-get $options install "$@"
} >"$log" 2>&1 </dev/null; then
    tail -n 15 "$log" >&2
    exit 1
fi
