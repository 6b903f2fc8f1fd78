"""The objects that clients get, field by field, as in docs/protocol.md: objects, acks,
payloads of facts, and what pages and the API respond with besides.

A field that is not required is left out where it would be null. core/objects.py and
storage/rooms.py create the objects; web/openapi.py generates its schemas from here.
What clients send, the payloads of orders, is declared in core/orders.py.
"""

from typing import Literal, NotRequired, TypedDict


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
    details: NotRequired[dict[str, object]]


# --- For owners and admins -----------------------------------------------------------


class UserUsageObject(TypedDict):
    """What a user stores. session_count: sessions that have not ended. max_bytes: where
    it is not as the setting says; 0: no limit."""

    id: int
    name: str
    display_name: str
    kind: str
    role: str
    created_at: int
    picture_bytes: int
    picture_count: int
    session_count: int
    presence: str
    avatar_url: NotRequired[str]
    deactivated_at: NotRequired[int]
    max_bytes: NotRequired[int]
    seen_at: NotRequired[int]


class RoomUsageObject(TypedDict):
    """What a room contains. sent_at: of the last hai; name: not of a direct room."""

    id: int
    kind: str
    member_count: int
    picture_days: int
    created_at: int
    picture_bytes: int
    picture_count: int
    name: NotRequired[str]
    sent_at: NotRequired[int]


class AuditObject(TypedDict):
    """What was done, to whom. actor: not there for the operator. actor, user and room
    are names as they are now."""

    id: int
    done_at: int
    name: str
    details: NotRequired[str]
    actor_id: NotRequired[int]
    actor: NotRequired[str]
    user_id: NotRequired[int]
    user: NotRequired[str]
    room_id: NotRequired[int]
    room: NotRequired[str]
    address: NotRequired[str]
    device: NotRequired[str]


# --- Acks: what an order is answered with when nothing was wrong ---------------------


class EmptyAck(TypedDict):
    pass


class RoomAck(TypedDict):
    room: RoomObject


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


OrderAck = EmptyAck | HaiAck | RoomAck | HaisAck | ChangesAck


class ErrorAck(TypedDict):
    """Of any order that was refused."""

    error: ErrorObject


# --- Payloads of facts ---------------------------------------------------------------


class HaiPayload(TypedDict):
    hai: HaiObject


class RoomPayload(TypedDict):
    room: RoomObject


class RoomIdPayload(TypedDict):
    room_id: int


class UserPayload(TypedDict):
    user: UserObject


class ReadPayload(TypedDict):
    """rev: the room's new one, where its members are told."""

    room_id: int
    user_id: int
    hai_id: int
    rev: NotRequired[int]


class TypingPayload(TypedDict):
    room_id: int
    user_id: int


class PresencePayload(TypedDict):
    user_id: int
    presence: str


class SessionPayload(TypedDict):
    session_id: int
    device: str
    started_at: int


class EmptyPayload(TypedDict):
    pass


FactPayload = (
    HaiPayload
    | RoomPayload
    | RoomIdPayload
    | UserPayload
    | ReadPayload
    | TypingPayload
    | PresencePayload
    | SessionPayload
    | EmptyPayload
)


# --- Other responses of the API and of pages -----------------------------------------


class UserResponse(TypedDict):
    user: UserObject


class UsersResponse(TypedDict):
    users: list[UserObject]


class TokensResponse(TypedDict):
    tokens: list[TokenObject]


class SecondFactorObject(TypedDict):
    """Whether an app is set up, and how many passkeys and recovery codes there are."""

    totp: bool
    passkeys: int
    recovery_codes: int
    is_required: bool  # by the setting


class SecondFactorResponse(TypedDict):
    second_factor: SecondFactorObject


class FactorSetUpResponse(TypedDict):
    """What an app is set up with. sealed: to be sent back with the first code."""

    sealed: str
    secret: str
    link: str


class RecoveryCodesResponse(TypedDict):
    """Shown this once; none where there were some before."""

    recovery_codes: list[str]


class LinkPathResponse(TypedDict):
    path: str  # where the way to the provider begins


class RoomsResponse(TypedDict):
    """open_rooms: those that the user may join."""

    rooms: list[RoomObject]
    open_rooms: list[RoomObject]


class PicturesResponse(TypedDict):
    pictures: list[PictureObject]


class PictureResponse(TypedDict):
    picture: PictureObject


class UploadResponse(TypedDict):
    upload: UploadObject


class SearchResponse(TypedDict):
    """Newest first, with their authors. is_partial: the time was over; `before` says
    where to continue."""

    hais: list[HaiObject]
    users: list[UserObject]
    has_more: bool
    is_partial: NotRequired[Literal[True]]
    before: NotRequired[int]


class UserUsagesResponse(TypedDict):
    users: list[UserUsageObject]
    has_more: bool


class RoomUsagesResponse(TypedDict):
    rooms: list[RoomUsageObject]
    has_more: bool


class AuditResponse(TypedDict):
    deeds: list[AuditObject]
    has_more: bool


class TotalsResponse(TypedDict):
    """Sums over everything, sizes on the disk, and what runs now."""

    pictures: int
    picture_bytes: int
    unsent: int
    unfinished: int
    people: int
    deactivated: int
    rooms: int
    database_bytes: int
    taken_bytes: int
    file_bytes: int
    wal_bytes: int
    disk_free_bytes: int
    sockets: int
    online: int
    resident_bytes: int
    started_at: int
    version: str


class LinkResponse(TypedDict):
    """Of an invitation or for a new password: whole, with the server's origin."""

    url: str


class SessionsEndedResponse(TypedDict):
    session_count: int


class PicturesRemovedResponse(TypedDict):
    picture_count: int
    picture_bytes: int


class FirstState(TypedDict):
    """What every signed-in page starts with."""

    me: UserObject
    epoch: str
    rev: int
    rooms: list[RoomObject]
    users: list[UserObject]


class RoomState(FirstState):
    """can_change: whether this user may delete others' hais here. gone_hai_ids: deleted
    hais that these hais reply to. new_after_hai_id: the read marker, if there is
    something new after it."""

    room: RoomObject
    hais: list[HaiObject]
    has_more_before: bool
    has_more_after: bool
    can_change: bool
    gone_hai_ids: list[int]
    new_after_hai_id: NotRequired[int]
