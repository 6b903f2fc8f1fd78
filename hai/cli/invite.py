"""`run.py invite`: print a link with which people create their own accounts."""

import argparse
from typing import Any

from hai.cli.control import Actions, perform
from hai.config import Config
from hai.core.context import Core
from hai.core.identity import invites


def configure(add: Any, name: str) -> None:
    parser = add(name, "print a link by which people can join, good for a week")
    parser.set_defaults(run=run)


def run(config: Config, arguments: argparse.Namespace) -> int:
    given = {"public_url": config.public_url}
    print(perform(config, ACTIONS, "invite", **given))
    return 0


async def invite(core: Core, public_url: str) -> str:
    """Make an invite in the operator's name; return its link.

    Its address is the one that was asked for, else that of the server that
    runs, else what the settings say.
    """
    code = await invites.create(core, None)
    return f"{public_url or core.url or address(core.config)}/join/{code}"


def address(config: Config) -> str:
    """Where Hai would serve, as far as the settings say."""
    host = config.address
    if host in ("", "0.0.0.0", "::"):
        host = "127.0.0.1"
    shown = f"[{host}]" if ":" in host else host
    return f"http://{shown}:{config.port}"


ACTIONS: Actions = {"invite": invite}
