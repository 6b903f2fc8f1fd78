"""The objects of docs/protocol.md, made from rows: hai, picture and user.

An absent field is left out, never null. Their fields are declared in hai/shapes.py;
rooms come complete from storage/rooms.py, which derives half of theirs.
"""

from collections.abc import Iterable
from typing import Any

from hai.shapes import HaiObject, PictureObject, UserObject
from hai.storage import pictures as picture_rows
from hai.storage import reactions as reaction_rows
from hai.storage import retention


class Created(dict[str, Any]):
    """The ack of an order that may create something, when it did: 201 over HTTP."""


def hai_objects(rows: Iterable[tuple[Any, ...]]) -> list[HaiObject]:
    """Rows of hais.COLUMNS with their pictures and reactions: three statements for any
    number of hais. (any thread)"""
    hais = [_hai(*row) for row in rows]
    by_id = {hai["id"]: hai for hai in hais if "deleted_at" not in hai}
    for hai_id, row in picture_rows.of_hais(list(by_id)):
        by_id[hai_id]["pictures"].append(picture_object(*row))
    for hai_id, position, *about, gone_at in retention.gone_pictures_of(list(by_id)):
        gone = gone_picture_object(*about, gone_at=gone_at)
        by_id[hai_id]["pictures"].insert(position, gone)
    for hai_id, emoji, user_id in reaction_rows.of_hais(list(by_id)):
        by_id[hai_id]["reactions"].setdefault(emoji, []).append(user_id)
    return hais


def _hai(
    hai_id: int,
    rev: int,
    room_id: int,
    user_id: int,
    client_id: str | None,
    text: str,
    html: str | None,
    sent_at: int,
    edited_at: int | None,
    deleted_at: int | None,
    reply_to: int | None,
    reply_to_picture: int | None,
) -> HaiObject:
    hai: Any = {"id": hai_id, "rev": rev, "room_id": room_id, "user_id": user_id}
    if client_id is not None:
        hai["client_id"] = client_id
    hai["text"] = text
    if html is not None:
        hai["html"] = html
    hai["sent_at"] = sent_at
    if deleted_at is not None:
        hai["deleted_at"] = deleted_at
    else:
        if edited_at is not None:
            hai["edited_at"] = edited_at
        if reply_to is not None:
            hai["reply_to"] = reply_to
        if reply_to_picture is not None:
            hai["reply_to_picture"] = reply_to_picture
    hai["pictures"] = []
    hai["reactions"] = {}
    found: HaiObject = hai
    return found


def new_hai(row: tuple[Any, ...], pictures: list[PictureObject]) -> HaiObject:
    """A hai that was stored just now: only its pictures have to be looked up."""
    hai = _hai(*row)
    hai["pictures"] = pictures
    return hai


def picture_object(
    picture_id: int,
    name: str,
    type_: str,
    byte_count: int,
    width: int,
    height: int,
    alt: str | None,
    is_animated: int = 0,
    blur: str | None = None,
    thumbnail_type: str | None = None,
    thumbnail_width: int | None = None,
    thumbnail_height: int | None = None,
    duration_ms: int = 0,
) -> PictureObject:
    picture: Any = {
        "id": picture_id,
        "name": name,
        "type": type_,
        "bytes": byte_count,
        "width": width,
        "height": height,
    }
    if duration_ms:
        picture["duration_ms"] = duration_ms
    if alt:
        picture["alt"] = alt
    if is_animated:
        picture["is_animated"] = True
    if blur:
        picture["blur"] = blur
    if thumbnail_type:
        picture["thumbnail"] = {
            "type": thumbnail_type,
            "width": thumbnail_width,
            "height": thumbnail_height,
            "url": f"/pictures/{picture_id}?size=thumbnail",
        }
    picture["url"] = f"/pictures/{picture_id}"
    found: PictureObject = picture
    return found


def gone_picture_object(*about: Any, gone_at: int) -> PictureObject:
    """What remains of a picture that was not kept; its url responds with 404."""
    picture = picture_object(*about)
    picture["gone_at"] = gone_at
    return picture


def user_object(
    user_id: int,
    rev: int,
    name: str,
    display_name: str,
    kind: str,
    role: str,
    avatar_rev: int | None = None,
    deactivated_at: int | None = None,
) -> UserObject:
    user: UserObject = {
        "id": user_id,
        "rev": rev,
        "name": name,
        "display_name": display_name,
        "kind": kind,
        "role": role,
    }
    if avatar_rev is not None:
        user["avatar_url"] = f"/avatars/{user_id}/{avatar_rev}"
    if deactivated_at is not None:
        user["deactivated_at"] = deactivated_at
    return user
