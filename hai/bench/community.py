"""The people and rooms that a scenario needs, in a data folder of their own."""

import asyncio
from collections.abc import Awaitable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from hai import config
from hai.app import open_core
from hai.core.context import Core
from hai.core.identity.sessions import Identity
from hai.core.people import accounts, tokens
from hai.core.talk import rooms
from hai.storage import hais as hai_rows
from hai.storage import rooms as room_rows
from hai.storage.writer import Transaction

SLICE = 500  # writes queued at once
TALK_SLICE = 2000  # hais in one of them


@dataclass
class Community:
    """tokens[i] is person i's. Pair i are the persons 2i and 2i + 1."""

    folder: Path
    tokens: list[str] = field(default_factory=list)
    room_id: int = 0  # of the first `members` persons
    pair_room_ids: list[int] = field(default_factory=list)
    room_ids: list[int] = field(default_factory=list)  # of everybody


def make(
    folder: Path, *, people: int, members: int = 0, pairs: int = 0, rooms: int = 0
) -> Community:
    """Pairs are made of the last persons, so that members are none of them."""
    return asyncio.run(_make(folder, people, members, pairs, rooms))


async def _make(
    folder: Path, people: int, members: int, pairs: int, room_count: int
) -> Community:
    community = Community(folder)
    async with open_core(config.load({"data": str(folder)}, {})) as core:
        users = await _all(
            accounts.add_user(
                core, f"person{number}", "owner" if not number else "member"
            )
            for number in range(people)
        )
        user_ids = [user["id"] for user in users]
        community.tokens = await _all(tokens.add(core, id_) for id_ in user_ids)
        if members:
            community.room_id = await core.db.write(_add_room, user_ids[:members])
        community.room_ids = [
            await core.db.write(_add_room, user_ids) for _ in range(room_count)
        ]
        paired = user_ids[len(user_ids) - 2 * pairs :]
        community.pair_room_ids = [
            await _open_direct(core, *paired[at : at + 2])
            for at in range(0, len(paired), 2)
        ]
    return community


async def _all(work: Iterable[Awaitable[Any]]) -> list[Any]:
    """Run in slices: the writer's queue is bounded."""
    todo = list(work)
    done: list[Any] = []
    while todo:
        done += await asyncio.gather(*todo[:SLICE])
        del todo[:SLICE]
    return done


def add_talk(community: Community, room_id: int, texts: Sequence[str]) -> None:
    """Hais of nobody in particular, as if they had been sent before."""
    asyncio.run(_add_talk(community.folder, room_id, texts))


async def _add_talk(folder: Path, room_id: int, texts: Sequence[str]) -> None:
    async with open_core(config.load({"data": str(folder)}, {})) as core:
        for at in range(0, len(texts), TALK_SLICE):
            await core.db.write(_add_hais, room_id, texts[at : at + TALK_SLICE])


def _add_hais(tx: Transaction, room_id: int, texts: Sequence[str]) -> None:
    """(writer thread)"""
    author_id = room_rows.member_ids(room_id, limit=1)[0]
    rows = [
        (hai_id, room_id, author_id, None, None, text, None, None, None)
        for hai_id, text in zip(tx.next_revs(len(texts)), texts, strict=True)
    ]
    hai_rows.insert_all(tx, rows)
    room_rows.mark_read(tx, room_id, author_id, rows[-1][0])


def _add_room(tx: Transaction, user_ids: list[int]) -> int:
    """(writer thread)"""
    room_id = room_rows.insert(tx, "closed", name="Bench")
    for user_id in user_ids:
        room_rows.begin_membership(tx, room_id, user_id)
    room_rows.touch(tx, room_id)
    return room_id


async def _open_direct(core: Core, user_id: int, other_id: int) -> int:
    who = Identity(user_id, 0, "member", "person")
    opened = await rooms.open_direct(core, who, user_ids=[other_id])
    return int(opened["room"]["id"])
