"""Makers of users, rooms and hais: valid by default, override what the test is about.

They go through `hai.core`, as the edges do, so what they make is told on the bus too.
"""

import secrets
from dataclasses import dataclass, field
from itertools import count
from types import SimpleNamespace
from typing import Any

from hai.core import orders
from hai.core.identity import sessions
from hai.core.people import accounts
from hai.core.pictures import avatars

_numbers = count(1)


@dataclass
class Person:
    """A user with the secrets a test signs in with."""

    user: dict
    token: str  # a bearer token
    cookie: str  # a browser session's token, the value of its cookie
    identity: Any
    password: str | None = field(default=None, repr=False)

    @property
    def id(self):
        return self.user["id"]

    @property
    def name(self):
        return self.user["name"]


async def make_user(core, name=None, *, role="member", password=None, kind="person"):
    """Add a user. Without a password (the default, 30 ms faster) only tokens work."""
    name = name or f"user{next(_numbers)}"
    user = await accounts.add_user(
        core, name, role, password, display_name=name.title(), kind=kind
    )
    token = await sessions.start(core, user["id"], "token", "a test")
    cookie = await sessions.start(core, user["id"], "browser", "Test/1.0")
    identity = sessions.find(core, cookie)
    return Person(user, token, cookie, identity, password)


async def order(core, person, name, payload):
    """Run an order as a person would, and return its ack object."""
    return await orders.run(core, person.identity, name, payload)


async def make_room(core, owner, *members, name=None, kind="open"):
    """Make a room that the owner and the members are in; a direct room by kind."""
    member_ids = [member.id for member in members]
    if kind == "direct":
        ack = await order(core, owner, "open_direct", {"user_ids": member_ids})
    else:
        name = name or f"Room {next(_numbers)}"
        payload = {"name": name, "kind": kind, "member_ids": member_ids}
        ack = await order(core, owner, "create_room", payload)
    return ack["room"]


async def make_cast(core):
    """The people and rooms of most tests: see the fixture `cast`."""
    ada = await make_user(core, "ada", role="owner")
    grace = await make_user(core, "grace")
    linus = await make_user(core, "linus")
    return SimpleNamespace(
        ada=ada,
        grace=grace,
        linus=linus,
        lounge=await make_room(core, ada, grace, linus, name="Lounge"),
        lab=await make_room(core, ada, grace, name="Lab", kind="closed"),
        direct=await make_room(core, ada, grace, kind="direct"),
    )


async def make_hai(core, author, room, text="hai!", **payload):
    """Send a hai and return it as stored."""
    payload.setdefault("client_id", secrets.token_hex(8))
    payload |= {"room_id": room["id"], "text": text}
    return (await order(core, author, "send_hai", payload))["hai"]


async def give_avatar(core, person, content=b"RIFF a square"):
    """Store bytes as an avatar, as if a child had made them; returns its rev."""
    user = await core.db.write(avatars._set, person.id, content)
    return user["rev"]
