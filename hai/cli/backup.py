"""`run.py backup FILE`: a whole, checked copy, also while Hai serves."""

import argparse
import asyncio
import contextlib
import sys
from functools import partial
from pathlib import Path
from typing import Any

from hai.cli.control import Actions, perform
from hai.config import Config
from hai.core import audit
from hai.core.context import Core
from hai.errors import BadRequest, Busy, HaiError
from hai.storage.sqlite import backup
from hai.storage.writer import Transaction

SHOWN = ("users", "rooms", "hais", "pictures")  # of what was counted


def configure(add: Any, name: str) -> None:
    parser = add(name, "copy everything into FILE and check the copy")
    parser.add_argument("file", metavar="FILE", type=Path)
    parser.add_argument("--force", action="store_true", help="replace an older FILE")
    parser.set_defaults(run=run)


def run(config: Config, arguments: argparse.Namespace) -> int:
    if not config.database_path.exists():
        print(f"There is no {config.database_path} to back up.", file=sys.stderr)
        return 1
    target = str(arguments.file.absolute())
    given = {"target": target, "may_replace": arguments.force}
    counts = perform(config, ACTIONS, "backup", **given)
    print(
        "{users} users, {rooms} rooms, {hais} hais and {pictures} pictures"
        " are in ".format(**counts)
        + str(arguments.file)
    )
    return 0


async def back_up(core: Core, target: str, may_replace: bool) -> dict[str, int]:
    """Copy, check, and only then give the copy its name. Raises BadRequest, Busy."""
    path = Path(target)
    _check(path, may_replace)
    try:
        with backup.part_of(path) as part:
            counts = await _write(core, part, path)
            with contextlib.suppress(HaiError):  # on a full disk it is still a backup
                await core.db.write(_record)
            return counts
    except BlockingIOError as error:
        raise Busy(f"Another backup to {path} is under way.") from error
    except OSError as error:
        reason = error.strerror or error
        raise BadRequest(f"{path} cannot be written: {reason}.") from error


def _check(path: Path, may_replace: bool) -> None:
    if path.exists() and not may_replace:
        raise BadRequest(f"{path} is there already; --force replaces it.")
    if not path.parent.is_dir():
        raise BadRequest(f"There is no folder {path.parent}.")


def _record(tx: Transaction) -> None:
    """(writer thread)"""
    audit.record(tx, "made_backup", None)


async def _write(core: Core, part: Path, path: Path) -> dict[str, int]:
    problem = await core.db.run_maintenance(partial(backup.try_copy, part))
    if problem:
        raise BadRequest(f"The copy failed: {problem}.")
    counts, problems = await backup.finish(part)
    if problems:
        raise BadRequest("The copy is not whole: " + "; ".join(problems[:5]))
    await asyncio.to_thread(backup.put_in_place, part, path)
    return {name: getattr(counts, name) for name in SHOWN}


ACTIONS: Actions = {"backup": back_up}
