"""`python -m nbvlm`: the command line, where the command `nbvlm` is not on the path."""

import sys

from nbvlm.cli.main import main

sys.exit(main())
