"""`python -m nbvlm.cli`: the command line."""

import sys

from nbvlm.cli.main import main

sys.exit(main())
