#!/bin/sh
# Notebooks, panel and magics on ipykernel 6, which runs widget callbacks on other threads and loops than 7 does, and
# on the oldest IPython.
set -eu

folder=build/environments/kernel6
sh scripts/environment.sh test $folder "ipykernel>=6.30,<7" "ipython>=8.18,<8.19"
$folder/bin/python -c 'import ipykernel, IPython; print("ipykernel", ipykernel.__version__, "IPython", IPython.__version__)'
exec $folder/bin/python -m pytest tests/test_notebooks.py tests/panel tests/magics tests/browser
