"""``python -m cbackprop``: the command line, of which ``cbackprop.cli`` is the whole."""

import sys

from cbackprop.cli import main

if __name__ == "__main__":
    sys.exit(main())
