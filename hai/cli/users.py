"""`run.py users ...`: accounts, bearer tokens and roles from the terminal."""

import argparse
import sys
from datetime import UTC, datetime
from typing import Any

from hai.cli.control import Actions, perform
from hai.cli.invite import address
from hai.config import Config
from hai.core.context import Core
from hai.core.people import accounts, admin, tokens
from hai.errors import NotFound
from hai.shapes import TokenObject, UserObject

DEFAULT = "default"  # for --max-bytes: as the setting says


def configure(add: Any, name: str) -> None:
    parser = add(name, "add people, change them, give them bearer tokens, list them")
    action = add.below(parser)
    _configure_add(action)
    _configure_token(action)
    _configure_list(action)
    _configure_change(action)
    _configure_access(action)


def _configure_add(add: Any) -> None:
    parser = add("add", "add a user; without a password only tokens sign them in")
    parser.add_argument("name", metavar="NAME")
    parser.add_argument("--role", choices=accounts.ROLES, default="member")
    parser.add_argument("--password-stdin", action="store_true", help="read one line")
    parser.set_defaults(run=run_add)


def _configure_token(add: Any) -> None:
    parser = add("token", "add a bearer token for each and print one a line")
    parser.add_argument("names", metavar="NAME", nargs="+")
    parser.add_argument("--for", dest="purpose", default="", metavar="WORDS")
    parser.add_argument("--scope", choices=tokens.SCOPES, default="all")
    parser.add_argument("--days", type=int, metavar="N", help="until it ends")
    parser.set_defaults(run=run_token)
    parser = add(
        "tokens", "list somebody's tokens: id, scope, times, what they are for"
    )
    parser.add_argument("name", metavar="NAME")
    parser.set_defaults(run=run_tokens)
    parser = add("end-token", "end one of them, and its connections")
    parser.add_argument("name", metavar="NAME")
    parser.add_argument("token_id", metavar="ID", type=int)
    parser.set_defaults(run=run_end_token)


def _configure_list(add: Any) -> None:
    parser = add("list", "print name, role, id and display name of each person")
    parser.add_argument("--bots", action="store_true", help="the bots instead")
    parser.set_defaults(run=run_list)


def _configure_change(add: Any) -> None:
    parser = add("change", "give a user another role, or another limit on pictures")
    parser.add_argument("name", metavar="NAME")
    parser.add_argument("--role", choices=accounts.ROLES)
    parser.add_argument(
        "--max-bytes",
        dest="limit",
        type=_limit,
        metavar="N",
        help=f"of pictures; 0: no limit; {DEFAULT}: as for all",
    )
    parser.set_defaults(run=run_change)


def _limit(text: str) -> int | str:
    return text if text == DEFAULT else int(text)


def _configure_access(add: Any) -> None:
    for action, help_ in ACCESS.items():
        parser = add(action, help_)
        parser.add_argument("name", metavar="NAME")
        parser.set_defaults(run=run_access, access=action)


ACCESS = {
    "deactivate": "sign somebody out, and out of the lists; their hais stay",
    "reactivate": "let them back in, into the rooms they were in",
    "reset": "print a link by which they set a new password, once, within a day",
    "reset-factor": "turn off the second factor of somebody who lost it",
}


def run_change(config: Config, arguments: argparse.Namespace) -> int:
    given = {"name": arguments.name, "role": arguments.role, "limit": arguments.limit}
    if arguments.role is None and arguments.limit is None:
        print("give --role or --max-bytes", file=sys.stderr)
        return 2
    user = perform(config, ACTIONS, "users change", **given)
    print(f"{user['name']} was changed ({user['role']})")
    return 0


def run_access(config: Config, arguments: argparse.Namespace) -> int:
    given = {"name": arguments.name, "public_url": config.public_url}
    print(perform(config, ACTIONS, f"users {arguments.access}", **given))
    return 0


def run_add(config: Config, arguments: argparse.Namespace) -> int:
    password = sys.stdin.readline().rstrip("\r\n") if arguments.password_stdin else None
    given = {"name": arguments.name, "role": arguments.role, "password": password}
    user = perform(config, ACTIONS, "users add", **given)
    print(f"{user['name']} was added ({user['role']})")
    return 0


def run_token(config: Config, arguments: argparse.Namespace) -> int:
    given = {"names": arguments.names, "purpose": arguments.purpose}
    given |= {"scope": arguments.scope, "days": arguments.days}
    for token in perform(config, ACTIONS, "users token", **given):
        print(token)
    return 0


def run_tokens(config: Config, arguments: argparse.Namespace) -> int:
    for token in perform(config, ACTIONS, "users tokens", name=arguments.name):
        times = [token["created_at"], token["seen_at"], token.get("expires_at")]
        shown = ["never" if at is None else iso_time(at) for at in times]
        print(token["id"], token["scope"], *shown, token["name"], sep="\t")
    return 0


def run_end_token(config: Config, arguments: argparse.Namespace) -> int:
    given = {"name": arguments.name, "token_id": arguments.token_id}
    print(perform(config, ACTIONS, "users end-token", **given))
    return 0


def iso_time(at_ms: int) -> str:
    return datetime.fromtimestamp(at_ms / 1000, UTC).isoformat(timespec="seconds")


def run_list(config: Config, arguments: argparse.Namespace) -> int:
    kind = "bot" if arguments.bots else "person"
    for user in perform(config, ACTIONS, "users list", kind=kind):
        print(user["name"], user["role"], user["id"], user["display_name"], sep="\t")
    return 0


async def add_user(core: Core, name: str, role: str, password: str | None) -> Any:
    return await accounts.add_user(core, name, role, password)


async def add_tokens(
    core: Core, names: list[str], purpose: str, scope: str, days: int | None
) -> list[str]:
    """Add one token for each name, or none when a name is unknown."""
    user_ids = {
        user["name"].lower(): user["id"] for user in await accounts.list_users(core)
    }
    missing = [name for name in names if name.lower() not in user_ids]
    if missing:
        raise NotFound("There is no user " + ", ".join(missing) + ".")
    about: dict[str, Any] = {"name": purpose, "scope": scope, "days": days}
    queued = [tokens.add(core, user_ids[name.lower()], **about) for name in names]
    return [await token for token in queued]


async def list_tokens(core: Core, name: str) -> list[TokenObject]:
    user = await accounts.user_named(core, name)
    return await tokens.list_of(core, user["id"])


async def end_token(core: Core, name: str, token_id: int) -> str:
    user = await accounts.user_named(core, name)
    await tokens.end(core, user["id"], token_id)
    return f"token {token_id} of {user['name']} was ended"


async def list_users(core: Core, kind: str) -> list[UserObject]:
    return [user for user in await accounts.list_users(core) if user["kind"] == kind]


async def change_user(
    core: Core, name: str, role: str | None, limit: int | str | None
) -> UserObject:
    user = await accounts.user_named(core, name)
    if limit is not None:
        max_bytes = None if limit == DEFAULT else int(limit)
        await admin.set_quota(core, None, user_id=user["id"], max_bytes=max_bytes)
    if role is not None:
        await admin.change_role(core, None, user_id=user["id"], role=role)
    return await accounts.user_named(core, name)


async def deactivate(core: Core, name: str, public_url: str) -> str:
    user = await accounts.user_named(core, name)
    await admin.deactivate(core, None, user_id=user["id"])
    return f"{user['name']} was deactivated"


async def reactivate(core: Core, name: str, public_url: str) -> str:
    user = await accounts.user_named(core, name)
    await admin.reactivate(core, None, user_id=user["id"])
    return f"{user['name']} may come back in"


async def make_reset(core: Core, name: str, public_url: str) -> str:
    """The link. Its address is found as that of an invite."""
    user = await accounts.user_named(core, name)
    code = await admin.make_reset(core, None, user_id=user["id"])
    return f"{public_url or core.url or address(core.config)}/reset/{code}"


async def reset_factor(core: Core, name: str, public_url: str) -> str:
    user = await accounts.user_named(core, name)
    await admin.reset_factor(core, None, user_id=user["id"])
    return f"{user['name']} signs in by password alone"


ACTIONS: Actions = {
    "users change": change_user,
    "users deactivate": deactivate,
    "users reactivate": reactivate,
    "users reset": make_reset,
    "users reset-factor": reset_factor,
    "users add": add_user,
    "users token": add_tokens,
    "users tokens": list_tokens,
    "users end-token": end_token,
    "users list": list_users,
}
