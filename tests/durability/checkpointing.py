"""Run Hai with a write-ahead log that goes into the file after every few commits.

`python checkpointing.py run.py-args`: what otherwise happens once in 16 MiB of writes
happens so often that cuts and kills fall into it.
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from hai import cli
from hai.storage.sqlite import wal

if __name__ == "__main__":
    wal.DUE_PAGES, wal.AGAIN_PAGES = 100, 25
    raise SystemExit(cli.main(sys.argv[1:]))
