"""Pictures: what is known of one; the statements behind core/pictures/stored.py.

Their bytes, and how they are stored and deleted, are in blobs.py. Pictures that are
still arriving are never returned here.
"""

import json
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

from hai.storage.database import execute
from hai.storage.models import Hai, Picture
from hai.storage.writer import Transaction

COLUMNS = (
    "p.id, p.name, p.type, p.bytes, p.width, p.height, p.alt, p.is_animated, p.blur,"
    " t.type, t.width, t.height, p.duration_ms"
)
SOURCE = "FROM pictures p LEFT JOIN thumbnails t ON t.picture_id = p.id"


class PictureRow(NamedTuple):
    """COLUMNS, in their order; None for the columns of a missing thumbnail."""

    id: int
    name: str
    type: str
    bytes: int
    width: int
    height: int
    alt: str | None
    is_animated: int
    blur: str | None
    thumbnail_type: str | None
    thumbnail_width: int | None
    thumbnail_height: int | None
    duration_ms: int


class SentPicture(NamedTuple):
    """A picture of a hai, and its description."""

    hai_id: int
    alt: str | None


def of_hais(hai_ids: list[int]) -> list[tuple[int, PictureRow]]:
    """With the id of the hai, in their order. (any thread)"""
    rows = execute(
        f"SELECT p.hai_id, {COLUMNS} {SOURCE}"
        " WHERE p.hai_id IN (SELECT value FROM json_each(?))"
        " ORDER BY p.hai_id, p.position",
        (json.dumps(hai_ids),),
    )
    return [(row[0], PictureRow._make(row[1:])) for row in rows.fetchall()]


def find(picture_id: int) -> PictureRow | None:
    """A complete one, sent or not. (any thread)"""
    row = execute(
        f"SELECT {COLUMNS} {SOURCE} WHERE p.id = ? AND p.completed_at IS NOT NULL",
        (picture_id,),
    ).fetchone()
    return None if row is None else PictureRow._make(row)


def find_unsent(user_id: int, picture_id: int) -> PictureRow | None:
    """A complete one of this user that is in no hai. (any thread)"""
    row = execute(
        f"SELECT {COLUMNS} {SOURCE} WHERE p.id = ? AND p.user_id = ?"
        " AND p.hai_id IS NULL AND p.completed_at IS NOT NULL",
        (picture_id, user_id),
    ).fetchone()
    return None if row is None else PictureRow._make(row)


def takeable(user_id: int, room_id: int, picture_ids: list[int]) -> set[int]:
    """Those of these that are complete, this user's, of this room and in no hai. (any
    thread)"""
    rows = execute(
        "SELECT id FROM pictures WHERE id IN (SELECT value FROM json_each(?))"
        " AND user_id = ? AND room_id = ? AND hai_id IS NULL"
        " AND completed_at IS NOT NULL",
        (json.dumps(picture_ids), user_id, room_id),
    )
    return {picture_id for (picture_id,) in rows}


def attach(tx: Transaction, hai_id: int, picture_ids: Iterable[int]) -> None:
    """In this order; `takeable` has allowed it. (writer thread)"""
    for position, picture_id in enumerate(picture_ids):
        tx.execute(
            "UPDATE pictures SET hai_id = ?, position = ? WHERE id = ?",
            (hai_id, position, picture_id),
        )


def find_sent(picture_id: int) -> SentPicture | None:
    """(any thread)"""
    row = (
        Picture.select(Picture.hai, Picture.alt)
        .where(Picture.id == picture_id, Picture.hai.is_null(False))
        .tuples()
        .first()
    )
    return None if row is None else SentPicture._make(row)


def set_alt(tx: Transaction, picture_id: int, alt: str | None) -> None:
    """(writer thread)"""
    Picture.update(alt=alt).where(Picture.id == picture_id).execute(tx.engine)


def digests_sent(user_id: int, client_id: str) -> dict[int, bytes]:
    """Of the pictures of that hai, by id, in their order. (any thread)"""
    rows: Any = (
        Picture.select(Picture.id, Picture.sha256)
        .join(Hai)
        .where(Hai.user == user_id, Hai.client_id == client_id)
        .order_by(Picture.position)
        .tuples()
    )
    return {picture_id: bytes(sha256 or b"") for picture_id, sha256 in rows}


def digests(picture_ids: Sequence[int]) -> dict[int, bytes]:
    """Of these pictures, by id; unknown ones are left out. (any thread)"""
    query = Picture.select(Picture.id, Picture.sha256)
    rows: Any = query.where(Picture.id.in_(picture_ids)).tuples()
    return {picture_id: bytes(sha256 or b"") for picture_id, sha256 in rows}
