"""``python -m steadygrad`` is ``steadygrad``."""

import sys

from steadygrad.cli import main

if __name__ == "__main__":
    sys.exit(main())
