"""The front door of a checkout: `python cli.py COMMAND` is `lightconv COMMAND`."""

import sys

from lightconv.cli import main

if __name__ == "__main__":
    sys.exit(main())
