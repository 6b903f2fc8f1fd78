"""Everything that commands can ask of a running server, in one table."""

from importlib import import_module
from typing import Any

from hai.cli import backup, invite, rooms, users
from hai.cli.control import Actions
from hai.core.context import Core


async def seed(core: Core, **given: Any) -> Any:
    """`run.py seed`, loaded when asked for: 0.7 MiB that a server rarely needs."""
    return await import_module("hai.cli.seed").seed(core, **given)


ACTIONS: Actions = {
    **users.ACTIONS,
    **rooms.ACTIONS,
    **invite.ACTIONS,
    "seed": seed,
    **backup.ACTIONS,
}
