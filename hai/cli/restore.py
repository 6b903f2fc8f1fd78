"""`run.py restore FILE`: put a backup back, while no server runs."""

import argparse
import sys
from pathlib import Path
from typing import Any

from hai.cli.control import folder_lock
from hai.config import Config
from hai.storage.sqlite import backup, rescue


def configure(add: Any, name: str) -> None:
    parser = add(name, "put the backup FILE back; Hai must not be running")
    parser.add_argument("file", metavar="FILE", type=Path)
    parser.add_argument(
        "--force",
        action="store_true",
        help="also when the present data is newer, or the backup damaged",
    )
    parser.set_defaults(run=run)


def run(config: Config, arguments: argparse.Namespace) -> int:
    try:
        with folder_lock(config.data):
            return _restore(config.database_path, arguments.file, arguments.force)
    except BlockingIOError:
        print(f"Hai uses {config.data}: stop it first.", file=sys.stderr)
        return 1
    except backup.NoBackup as error:
        print(error, file=sys.stderr)
        return 1
    except OSError as error:
        print(f"{arguments.file} cannot be restored: {error}", file=sys.stderr)
        return 1


def _restore(path: Path, source: Path, is_forced: bool) -> int:
    part = path.with_name(f"{path.name}.restoring")
    try:
        problems = backup.prepare(source, part)
        print(*problems, sep="\n", end="\n" if problems else "", file=sys.stderr)
        if not is_forced and (refusal := _refusal(path, source, problems)):
            print(refusal, file=sys.stderr)
            return 1
        aside = backup.set_aside(path)
        backup.put_in_place(part, path)
        rescue.forget(path)
    finally:
        if path.exists():  # else the new file is the only one: keep it
            backup.remove(part)
    print(f"{source} is restored" + (", damaged as it is." if problems else "."))
    if aside:
        print(f"What was there before is {aside}")
    return 0


def _refusal(path: Path, source: Path, problems: list[str]) -> str | None:
    if problems:
        return (
            f"{source} is damaged and was not restored; --force restores what there is."
        )
    return backup.why_not_replace(path, source)
