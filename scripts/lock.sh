#!/bin/sh
# Usage: scripts/lock.sh [FILE [uv's options, such as --upgrade]]
# Compiles binder/requirements.txt (FILE): nbvlm[lab] and binder/requirements.in with all that they need, each pinned.
# Pins that still fit are kept. The resolver is uv: it resolves for every Python from 3.11 on and every platform at
# once, whichever runs it, and writes no address of a registry. A mirror in pip's settings is used.
set -eu

file=${1:-binder/requirements.txt}
[ $# -eq 0 ] || shift
sh scripts/tools.sh uv
tools=build/environments/tools/bin
mirror=$($tools/python -m pip config get global.index-url 2>/dev/null || true)
[ -z "$mirror" ] || export UV_DEFAULT_INDEX="$mirror"
new=build/lock.txt
cp "$file" $new 2>/dev/null || : >$new
$tools/uv pip compile --quiet --universal --python-version 3.11 --extra lab --no-header --no-annotate "$@" \
    --output-file $new pyproject.toml binder/requirements.in
{
    echo "# Compiled by \`make lock\` from pyproject.toml, extra lab, and binder/requirements.in; not to be edited."
    cat $new
} >"$file"
rm -f $new
