#!/bin/sh
# Notebooks and panel on ipykernel 6: it runs widget callbacks on other threads and loops than 7 does.
set -eu

folder=build/environments/kernel6
sh scripts/environment.sh test $folder "ipykernel>=6.30,<7"
$folder/bin/python -c 'import ipykernel; print("ipykernel", ipykernel.__version__)'
exec $folder/bin/python -m pytest tests/test_notebooks.py tests/test_panel*.py tests/browser
