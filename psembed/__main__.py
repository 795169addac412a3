"""`python -m psembed`: the same as the console script."""

import sys

from psembed.cli.main import main

if __name__ == "__main__":
    sys.exit(main())
