"""`run.py verify`: check every row and every picture, even while Hai is running.

It runs in a process of its own at the lowest priority, and pauses between pictures as
long as it worked, so that users of Hai do not notice. On two busy cores it hashed 53
MiB/s (tests/durability/flips.py): with its pauses it gets through 20 MiB per second or
more.
"""

import argparse
import os
import sys
import time
from typing import Any

from hai.config import Config
from hai.storage.sqlite import verify
from hai.units import MIB

NOT_ALL = 4  # the exit code


def configure(add: Any, name: str) -> None:
    parser = add(name, "check every row and picture; exit code 1 if one is wrong")
    parser.set_defaults(run=run)


def run(config: Config, arguments: argparse.Namespace) -> int:
    if not config.database_path.exists():
        print(f"There is no {config.database_path} to verify.", file=sys.stderr)
        return 1
    os.nice(verify.LOWEST_PRIORITY)
    counts, began_s, problem_count = verify.Counts(), time.monotonic(), 0
    for problem in verify.problems(config.database_path, counts, pause=time.sleep):
        problem_count += 1
        print(problem, flush=True)
    took_s = time.monotonic() - began_s
    print(
        f"{counts.users} users, {counts.rooms} rooms, {counts.hais} hais,"
        f" {counts.pictures} pictures ({counts.picture_bytes / MIB:.1f} MiB)"
        f" in {took_s:.1f} s: {problem_count or 'no'} problems"
    )
    for check in counts.missed:
        print(f"{check}: not looked at, too much is written meanwhile; try again later")
    return 1 if problem_count else NOT_ALL if counts.missed else 0
