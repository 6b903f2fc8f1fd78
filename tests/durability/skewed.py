"""Run Hai under another clock: `python skewed.py FILE run.py-args`.

FILE holds by how many milliseconds it is wrong, and may be changed meanwhile.
"""

import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from hai import cli, clock


def now_ms():
    return time.time_ns() // 1_000_000 + int(FILE.read_text())


if __name__ == "__main__":
    FILE = Path(sys.argv[1])
    clock.now_ms = now_ms
    raise SystemExit(cli.main(sys.argv[2:]))
