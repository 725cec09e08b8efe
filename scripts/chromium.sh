#!/bin/sh
# Makes sure that there is a browser for the browser tests. Never fails: without one they are skipped, with a reason.
set -eu

for name in "${NBVLM_CHROMIUM:-}" chromium chromium-browser google-chrome google-chrome-stable; do
    if [ -n "$name" ] && "$name" --version >/dev/null 2>&1; then
        exit 0
    fi
done

status=0
sh "$(dirname "$0")/apt-install.sh" chromium fonts-dejavu-core || status=$?
case $status in
0) ;;
3) echo "There is no Chromium, and only root can install one (apt-get install chromium): browser tests are skipped." ;;
*) echo "Chromium could not be installed (see above): browser tests will be skipped." ;;
esac
