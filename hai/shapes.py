"""The objects that clients get, field by field, as in docs/protocol.md.

A field that is not required is left out where it would be null. core/objects.py and
storage/rooms.py create them; web/openapi.py generates their description from here.
"""

from typing import Any, Literal, NotRequired, TypedDict


class ThumbnailObject(TypedDict):
    type: str
    width: int
    height: int
    url: str


class PictureObject(TypedDict):
    """Also a video or a voice. gone_at: it was not kept, and its url answers 404."""

    id: int
    name: str
    type: str
    bytes: int
    width: int
    height: int
    url: str
    alt: NotRequired[str]
    duration_ms: NotRequired[int]
    is_animated: NotRequired[Literal[True]]
    blur: NotRequired[str]
    thumbnail: NotRequired[ThumbnailObject]
    gone_at: NotRequired[int]


class HaiObject(TypedDict):
    """A deleted one keeps its place: without text, pictures and reactions."""

    id: int
    rev: int
    room_id: int
    user_id: int
    text: str
    sent_at: int
    pictures: list[PictureObject]
    reactions: dict[str, list[int]]  # emoji -> ids of users, the first given first
    client_id: NotRequired[str]
    html: NotRequired[str]
    edited_at: NotRequired[int]
    deleted_at: NotRequired[int]
    reply_to: NotRequired[int]
    reply_to_picture: NotRequired[int]


class RoomObject(TypedDict):
    """member_ids: of rooms that are not large. my_read_hai_id and unread: for one
    reader, in acks and pages. read_hai_ids: where the room has receipts."""

    id: int
    rev: int
    kind: str
    member_count: int
    name: NotRequired[str]
    topic: NotRequired[str]
    member_ids: NotRequired[list[int]]
    last_hai_id: NotRequired[int]
    my_read_hai_id: NotRequired[int]
    unread: NotRequired[int]
    picture_days: NotRequired[int]
    has_receipts: NotRequired[Literal[True]]
    read_hai_ids: NotRequired[dict[int, int]]  # user -> hai


class UserObject(TypedDict):
    id: int
    rev: int
    name: str
    display_name: str
    kind: str
    role: str
    avatar_url: NotRequired[str]
    presence: NotRequired[str]
    deactivated_at: NotRequired[int]


class TokenObject(TypedDict):
    """What is known of a bearer token, which itself is shown once. seen_at: to the
    hour; that of its beginning: never."""

    id: int
    name: str
    scope: str
    created_at: int
    seen_at: int
    expires_at: NotRequired[int]


class UploadObject(TypedDict):
    """One that can go on after a cut. picture: when all has come."""

    url: str
    offset: int
    length: int
    expires_at: NotRequired[int]
    picture: NotRequired[PictureObject]


class ErrorObject(TypedDict):
    code: str  # one of errors.py
    message: str  # for people
    details: NotRequired[dict[str, Any]]


# --- Acks: what an order is answered with when nothing was wrong ---------------------


class HaiAck(TypedDict):
    hai: HaiObject


class HaisAck(TypedDict):
    """Oldest first. has_more: in the direction asked for."""

    hais: list[HaiObject]
    has_more: bool


class ChangedObjects(TypedDict):
    users: list[UserObject]
    rooms: list[RoomObject]
    hais: list[HaiObject]
    removed_room_ids: list[int]


class ChangesAck(ChangedObjects):
    """A page of what changed. online_user_ids: on the last one."""

    rev: int
    epoch: str
    has_more: bool
    online_user_ids: NotRequired[list[int]]
