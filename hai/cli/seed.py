"""`run.py seed`: fill a community with realistic people, rooms and hais.

For trying things out and for measuring. Rows go to the writer in slices, between which
other people's hais are stored. A room gets its members last, in the same transaction as
its fact, so connected clients see it complete, and no fact per hai is needed.
"""

import argparse
import hashlib
import random
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from itertools import accumulate, count
from typing import Any

from hai import clock
from hai.cli.control import Actions, perform
from hai.cli.seed_pictures import make_png
from hai.cli.seed_words import EMOJI, FIRST_NAMES, LAST_NAMES, ROOMS, SAYINGS
from hai.config import Config
from hai.core.context import Core
from hai.core.objects import user_object
from hai.core.people import accounts
from hai.core.talk import formatting
from hai.events import RoomChanged, UserChanged
from hai.storage import blobs
from hai.storage import hais as hai_rows
from hai.storage import pictures as picture_rows
from hai.storage import reactions as reaction_rows
from hai.storage import rooms as room_rows
from hai.storage import users as user_rows
from hai.storage.hais import DatedHai
from hai.storage.reactions import DatedReaction
from hai.storage.writer import Transaction
from hai.units import DAY_MS

SLICE = 250  # rows in one write, about 15 ms: so long may a hai of others wait
HISTORY_MS = 90 * DAY_MS  # the hais are spread over 90 days
PICTURE_EVERY = 400  # one hai in 400 carries a picture, 1 KiB of PNG
REPLY_SHARE = 0.05
REACTION_SHARE = 0.04
READ_SHARE = 0.7  # of memberships that have read everything
RECENT = 50  # hais of a room that may be replied to, or are unread


@dataclass(eq=False)
class SeededRoom:
    """A room on its way: its members are not in it before the end."""

    id: int
    member_ids: list[int]
    author_ids: list[int] = field(default_factory=list)
    recent: deque[int] = field(default_factory=lambda: deque(maxlen=RECENT))


def configure(add: Any, name: str) -> None:
    parser = add(name, "add people (without passwords), rooms and hais to try it out")
    for what, default in (("users", 20), ("rooms", 10), ("hais", 2000)):
        parser.add_argument(f"--{what}", type=_count, default=default, metavar="N")
    parser.set_defaults(run=run)


def _count(text: str) -> int:
    value = int(text)
    if value < 0:
        raise ValueError
    return value


def run(config: Config, arguments: argparse.Namespace) -> int:
    wanted = {name: getattr(arguments, name) for name in ("users", "rooms", "hais")}
    added = perform(config, ACTIONS, "seed", **wanted)
    print("added " + ", ".join(f"{count} {name}" for name, count in added.items()))
    return 0


async def seed(core: Core, users: int, rooms: int, hais: int) -> dict[str, int]:
    """Add this many of each; existing people become members of the new rooms."""
    chance = random.Random(users + rooms + hais)  # the same data for the same numbers
    known = await accounts.list_users(core)
    people = [user["id"] for user in known if user["kind"] == "person"]
    names = _new_names({user["name"] for user in known}, chance)
    added: list[int] = []
    for size in _slices(users):
        some = [next(names) for _ in range(size)]
        added += await core.db.write(_add_users, some)
        await core.db.write(_enter_common_rooms, added[-size:])
    seeded = await _seed_rooms(core, chance, people, added, rooms)
    hai_count = await _seed_hais(core, chance, seeded, hais)
    for room in seeded:
        await core.db.write(_add_members, room, chance)
    return {"users": len(added), "rooms": len(seeded), "hais": hai_count}


def _slices(total: int) -> Iterator[int]:
    """Yield sizes of at most SLICE that add up to the total."""
    for start in range(0, total, SLICE):
        yield min(SLICE, total - start)


def _new_names(taken: set[str], chance: random.Random) -> Iterator[tuple[str, str]]:
    """Yield (name, display name) forever: mira, jonas, ..., mira2, jonas2, ..."""
    taken = {name.lower() for name in taken}
    for number in count(1):
        for first in FIRST_NAMES:
            name = first if number == 1 else f"{first}{number}"
            if name not in taken:
                yield name, f"{first.title()} {chance.choice(LAST_NAMES)}"


def _add_users(tx: Transaction, names: list[tuple[str, str]]) -> list[int]:
    """Store people and tell of them; return their ids. (writer thread)"""
    revs = tx.next_revs(len(names))
    user_rows.insert_members(tx, revs, names)
    stored = user_rows.since(revs[0] - 1, len(names))
    for row in stored:
        tx.publish(UserChanged(user_object(*row)))
    return [row.id for row in stored]


def _enter_common_rooms(tx: Transaction, user_ids: list[int]) -> None:
    """New people join the rooms that are for everyone. (writer thread)"""
    for room_id in room_rows.for_everyone():
        for user_id in user_ids:
            room_rows.begin_membership(tx, room_id, user_id)
        room_rows.touch(tx, room_id)
        tx.publish(RoomChanged(room_rows.find(room_id), joined=tuple(user_ids)))


async def _seed_rooms(
    core: Core,
    chance: random.Random,
    people: list[int],
    added: list[int],
    wanted: int,
) -> list[SeededRoom]:
    """Make rooms without members: three of five open, one closed, one direct."""
    everyone, newcomers = people + added, set(added)
    seeded = []
    for number in range(wanted):
        kind = ("open", "open", "closed", "open", "direct")[number % 5]
        if kind == "direct" and len(everyone) > 1:
            made = await core.db.write(_add_direct, _pair(chance, people, added))
        else:
            kind = "open" if kind == "direct" else kind
            members = _members(chance, number, people, added)
            made = await core.db.write(_add_room, number, kind, members)
        if made:
            # Nobody who was there before becomes the author of made-up hais.
            new = [user_id for user_id in made.member_ids if user_id in newcomers]
            made.author_ids = new or made.member_ids
            seeded.append(made)
    return seeded


def _pair(chance: random.Random, people: list[int], added: list[int]) -> list[int]:
    """Return two for a direct room; one is an existing person half of the time."""
    if people and added and chance.random() < 0.5:
        return sorted([chance.choice(people), chance.choice(added)])
    return sorted(chance.sample(people + added, 2))


def _members(
    chance: random.Random, number: int, people: list[int], added: list[int]
) -> list[int]:
    """Return all existing people and, but for the first room, a part of the new."""
    share = 1.0 if number == 0 else chance.uniform(0.02, 0.5)
    some = chance.sample(added, min(len(added), max(3, int(len(added) * share))))
    return sorted(people + some)


def _add_direct(tx: Transaction, members: list[int]) -> SeededRoom | None:
    """None when these two have theirs already. (writer thread)"""
    direct_key = ",".join(map(str, members))
    if room_rows.find_direct(direct_key) is not None:
        return None
    room_id = room_rows.insert(
        tx, "direct", creator_id=members[0], direct_key=direct_key
    )
    return SeededRoom(room_id, members)


def _add_room(
    tx: Transaction, number: int, kind: str, members: list[int]
) -> SeededRoom:
    """(writer thread)"""
    name, topic = ROOMS[number % len(ROOMS)]
    if number >= len(ROOMS):
        name = f"{name} {number // len(ROOMS) + 1}"
    creator_id = members[0] if members else None
    room_id = room_rows.insert(
        tx, kind, name=name, topic=topic or None, creator_id=creator_id
    )
    return SeededRoom(room_id, members)


async def _seed_hais(
    core: Core, chance: random.Random, seeded: Sequence[SeededRoom], total: int
) -> int:
    """Write hais into the rooms in the order of their times."""
    peopled = [room for room in seeded if room.member_ids]
    if not peopled:
        return 0
    # A few rooms and, in each, a few people do most of the talking.
    weights = list(accumulate(1 / (place + 1) for place in range(len(peopled))))
    until_ms = clock.now_ms()
    step_ms = HISTORY_MS / max(1, total)
    done = 0
    for size in _slices(total):
        chosen = chance.choices(peopled, cum_weights=weights, k=size)
        first_ms = until_ms - (total - done) * step_ms
        times = [int(first_ms + place * step_ms) for place in range(size)]
        await core.db.write(_add_hais, chance, chosen, times)
        done += size
    return done


def _add_hais(
    tx: Transaction, chance: random.Random, chosen: list[SeededRoom], times: list[int]
) -> None:
    """Store one hai for each room and time. (writer thread)"""
    revs = tx.next_revs(len(chosen))
    rows = [
        _hai(chance, rev, room, sent_at)
        for rev, room, sent_at in zip(revs, chosen, times, strict=True)
    ]
    hai_rows.insert_dated(tx, rows)
    reactions = [
        reaction
        for row, room in zip(rows, chosen, strict=True)
        if chance.random() < REACTION_SHARE
        for reaction in _reactions(chance, row, room)
    ]
    if reactions:
        reaction_rows.insert_dated(tx, reactions)
    for row in rows:
        if row.id % PICTURE_EVERY == 0:
            _add_picture(tx, chance, row)


def _hai(chance: random.Random, rev: int, room: SeededRoom, sent_at: int) -> DatedHai:
    authors = room.author_ids
    text = " ".join(chance.choices(SAYINGS, k=chance.choice((1, 1, 1, 2, 3))))
    reply_to = None
    if room.recent and chance.random() < REPLY_SHARE:
        reply_to = chance.choice(room.recent)
    room.recent.append(rev)
    author_id = authors[int(len(authors) * chance.random() ** 3)]
    return DatedHai(rev, room.id, author_id, text, _html(text), sent_at, reply_to)


@lru_cache(maxsize=4096)
def _html(text: str) -> str | None:
    return formatting.to_html(text)


def _reactions(
    chance: random.Random, hai: DatedHai, room: SeededRoom
) -> list[DatedReaction]:
    fans = chance.sample(room.author_ids, min(len(room.author_ids), 3))
    return [
        DatedReaction(hai.id, user_id, chance.choice(EMOJI[:3]), hai.sent_at + 60_000)
        for user_id in fans[: chance.randint(1, 3)]
    ]


def _add_picture(tx: Transaction, chance: random.Random, hai: DatedHai) -> None:
    """(writer thread)"""
    width, height = chance.choice(((320, 240), (240, 320), (400, 200)))
    png = make_png(width, height, chance)
    new = blobs.NewPicture(hai.room_id, hai.user_id, "postcard.png", "A sky at dusk")
    picture_id = blobs.begin(tx, new)
    blobs.append(tx, picture_id, 0, png)
    digest = hashlib.sha256(png).digest()
    found = blobs.PictureProperties("image/png", len(png), width, height, digest)
    blobs.complete(tx, picture_id, found)
    picture_rows.attach(tx, hai.id, [picture_id])


def _add_members(tx: Transaction, room: SeededRoom, chance: random.Random) -> None:
    """Add the members and publish it, once its hais are stored. (writer thread)"""
    read = {user_id: _read_marker(chance, room) for user_id in room.member_ids}
    room_rows.fill(tx, room.id, read, began_at=tx.now_ms - HISTORY_MS)
    room_rows.touch(tx, room.id)
    tx.publish(RoomChanged(room_rows.find(room.id), joined=tuple(room.member_ids)))


def _read_marker(chance: random.Random, room: SeededRoom) -> int:
    if not room.recent:
        return 0
    return (
        room.recent[-1] if chance.random() < READ_SHARE else chance.choice(room.recent)
    )


ACTIONS: Actions = {"seed": seed}
