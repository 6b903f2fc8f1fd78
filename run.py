"""Start Hai, or run one of its commands: `python run.py --help` lists them."""

import sys

from hai.cli import main

if __name__ == "__main__":
    sys.exit(main())
