"""The tables, as Peewee models: columns, foreign keys, constraints.

No behaviour. Each class says what a row means and how many to expect. The schema itself
is created by migrations.py; a test compares the two. All `_at` are milliseconds since
1970 UTC; docs/protocol.md says what a `rev` is. One process serves one database, so the
models are bound to one proxy.
"""

from peewee import (
    SQL,
    AutoField,
    BigIntegerField,
    BlobField,
    CompositeKey,
    DatabaseProxy,
    ForeignKeyField,
    IntegerField,
    Model,
    TextField,
    fn,
)

__all__ = [
    "MODELS",
    "SQL",
    "AuditRecord",
    "Avatar",
    "Chunk",
    "GonePicture",
    "Hai",
    "HaiNumber",
    "Invite",
    "Membership",
    "PasswordReset",
    "Picture",
    "PictureRemoval",
    "Reaction",
    "Room",
    "Server",
    "Session",
    "Thumbnail",
    "UnfinishedUpload",
    "User",
    "fn",
    "proxy",
]

proxy = DatabaseProxy()


class Table(Model):
    class Meta:
        database = proxy
        legacy_table_names = False


class Server(Table):
    """Exactly one row: the rev counter and the epoch."""

    id = IntegerField(primary_key=True)
    rev = BigIntegerField()
    epoch = TextField()
    created_at = BigIntegerField()
    running = TextField(null=True)  # epoch.py: full, normal; null: not running
    epoch_before = TextField(null=True)  # null: this is the first epoch
    rev_before = BigIntegerField(null=True)  # the last rev of that epoch


class User(Table):
    """A person's or bot's account. Tens to 10,000."""

    id = AutoField()
    rev = BigIntegerField(index=True)
    name = TextField(unique=True)  # NOCASE: Ada and ada are one
    display_name = TextField()
    kind = TextField()  # person, bot
    role = TextField()  # owner, admin, member
    password_hash = TextField(null=True)  # Argon2id; null: no password sign-in
    created_at = BigIntegerField()
    deactivated_at = BigIntegerField(null=True)
    avatar_rev = BigIntegerField(null=True)  # part of its URL; null: shown as a letter
    max_bytes = BigIntegerField(null=True)  # of pictures; null: the setting applies

    class Meta:
        table_name = "users"


class Avatar(Table):
    """The picture of a user who has one: a square of 256 px, about 10 KiB."""

    user = ForeignKeyField(User, backref="avatars", primary_key=True)
    type = TextField()  # image/webp
    sha256 = BlobField()
    bytes = BlobField()

    class Meta:
        table_name = "avatars"


class Session(Table):
    """A signed-in browser, or a bearer token. A few per user."""

    id = AutoField()
    user = ForeignKeyField(User, backref="sessions")
    kind = TextField()  # browser, token
    token_hash = BlobField(unique=True)  # SHA-256
    user_agent = TextField()
    created_at = BigIntegerField()
    seen_at = BigIntegerField()
    ended_at = BigIntegerField(null=True)
    name = TextField(default="")  # of a token: what it is for
    scope = TextField(default="all")  # all; of a token also: read
    expires_at = BigIntegerField(null=True)  # of a token; null: never
    address = TextField(default="")  # where it began

    class Meta:
        table_name = "sessions"


class Invite(Table):
    """A link with which people create their own accounts. A few."""

    id = AutoField()
    code_hash = BlobField(unique=True)
    created_by = ForeignKeyField(User, backref="invites", null=True)
    created_at = BigIntegerField()
    expires_at = BigIntegerField()

    class Meta:
        table_name = "invites"


class Room(Table):
    """A conversation. Tens to 10,000, most of them direct."""

    id = AutoField()
    rev = BigIntegerField(index=True)
    kind = TextField()  # open, closed, direct
    name = TextField(null=True)
    topic = TextField(null=True)
    created_by = ForeignKeyField(User, backref="rooms", null=True)
    created_at = BigIntegerField()
    is_for_everyone = IntegerField()  # 1: new people become members
    direct_key = TextField(unique=True, null=True)  # "3,7": the sorted user ids
    member_count = IntegerField()  # kept in step by storage/rooms.py
    picture_days = IntegerField()  # older pictures are removed; 0: never
    has_receipts = IntegerField()  # 1: members see how far others have read
    receipts_rev = BigIntegerField()  # since when: not for older hais

    class Meta:
        table_name = "rooms"


class Membership(Table):
    """A user's place in a room: the many-to-many relation between the two.

    A membership that has ended stays as a row with its end, for clients that catch up.
    """

    id = AutoField()
    rev = BigIntegerField()
    room = ForeignKeyField(Room, backref="memberships")
    user = ForeignKeyField(User, backref="memberships")
    made_rev = BigIntegerField()  # of the first time: who rejoins keeps the row
    began_rev = BigIntegerField()  # newer than a client's rev: the room is new to it
    began_at = BigIntegerField()
    ended_at = BigIntegerField(null=True)
    read_hai_id = BigIntegerField()  # read marker; 0: nothing read

    class Meta:
        table_name = "memberships"
        indexes = ((("room", "user"), True), (("user", "rev"), False))


class Hai(Table):
    """What a user sent. Millions. Its id is the rev at which it was stored.

    So ids are ordered like revs, across all rooms, and a hai that was never changed has
    rev = id (the partial index in migrations.py uses that).
    """

    id = BigIntegerField(primary_key=True)
    rev = BigIntegerField()
    room = ForeignKeyField(Room, backref="hais")
    user = ForeignKeyField(User, backref="hais")
    client_id = TextField(null=True)
    order_hash = BigIntegerField(null=True)  # tells a retry from a reused client_id
    text = TextField()
    html = TextField(null=True)
    sent_at = BigIntegerField()
    edited_at = BigIntegerField(null=True)
    deleted_at = BigIntegerField(null=True)  # a tombstone: text "", no pictures
    reply_to = BigIntegerField(null=True)  # id of a hai of the same room
    reply_to_picture = BigIntegerField(null=True)  # a picture of that hai

    class Meta:
        table_name = "hais"


class HaiNumber(Table):
    """Of one hai in 31: its place among all of its room, tombstones too.

    Kept by triggers, for counting: hais come in the order of their ids, and none but
    the newest may be removed.
    """

    room = ForeignKeyField(Room, backref="hai_numbers")
    hai_id = BigIntegerField()
    number = BigIntegerField()  # from 1

    class Meta:
        table_name = "hai_numbers"
        primary_key = CompositeKey("room", "hai_id")


class Picture(Table):
    """A stored picture, video or voice; without hai_id it has not been sent yet."""

    id = AutoField()
    room = ForeignKeyField(Room, backref="pictures")
    user = ForeignKeyField(User, backref="pictures")
    hai = ForeignKeyField(Hai, backref="pictures", null=True)
    position = IntegerField()  # 0 to 9 within its hai
    name = TextField()
    type = TextField()  # image/..., video/... or audio/...; "": still arriving
    bytes = BigIntegerField()
    width = IntegerField()  # 0 for a voice, like its height
    height = IntegerField()
    alt = TextField(null=True)
    sha256 = BlobField(null=True)
    # The same bytes are stored once, as chunks of the picture that had them first.
    bytes_of = ForeignKeyField("self", backref="sharing", null=True)
    uploaded_at = BigIntegerField()
    completed_at = BigIntegerField(null=True)  # null: still arriving
    is_animated = IntegerField()  # 1: it has more than one frame
    blur = TextField(null=True)  # a data: URL of about 200 characters
    thumbnail_tried_at = BigIntegerField(null=True)  # null: still to be made
    duration_ms = BigIntegerField(default=0)  # of a video or a voice; 0: unknown

    class Meta:
        table_name = "pictures"


class Thumbnail(Table):
    """A small still image of a picture that is large or animated. About 30 KiB."""

    picture = ForeignKeyField(Picture, backref="thumbnails", primary_key=True)
    type = TextField()  # image/webp
    width = IntegerField()
    height = IntegerField()
    bytes = BlobField()  # last, so that the others can be read without it
    sha256 = BlobField(null=True)  # of the bytes

    class Meta:
        table_name = "thumbnails"


class Chunk(Table):
    """A slice of a picture's bytes, at most 256 KiB, numbered from 0."""

    id = AutoField()
    picture = ForeignKeyField(Picture, backref="chunks")
    number = IntegerField()
    offset = BigIntegerField()  # of its first byte within the picture
    bytes = BlobField()
    sha256 = BlobField(null=True)  # of these bytes; null: stored before digests existed

    class Meta:
        table_name = "chunks"
        indexes = ((("picture", "number"), True),)


class UnfinishedUpload(Table):
    """A picture that arrives in pieces, by tus. A few at a time; deleted after days.

    A finished one keeps the picture's id, in case the last response was lost.
    """

    id = AutoField()
    token_hash = BlobField(unique=True)  # SHA-256 of the token in its URL
    user = ForeignKeyField(User, backref="uploads")
    room = ForeignKeyField(Room, backref="uploads")
    picture = ForeignKeyField(Picture, backref="uploads", null=True)
    length = BigIntegerField()  # of the file, in bytes
    received = BigIntegerField()  # how many of them need not be sent again
    metadata = TextField()  # as the client sent it: Upload-Metadata
    name = TextField()
    alt = TextField(null=True)
    keeps_metadata = IntegerField()  # 1: the picture is stored unchanged
    chunk_count = IntegerField()  # stored chunks of the picture
    tail = BlobField(null=True)  # bytes that do not fill a chunk yet
    reader = TextField(null=True)  # the state of core/pictures/reader.py
    touched_at = BigIntegerField()
    completed_at = BigIntegerField(null=True)

    class Meta:
        table_name = "uploads"


class GonePicture(Table):
    """What remains of a picture that was removed: its place in its hai.

    The id is the picture's. Its bytes, and everything derived from them, are gone.
    """

    id = IntegerField(primary_key=True)
    hai = ForeignKeyField(Hai, backref="gone_pictures")
    position = IntegerField()
    name = TextField()
    type = TextField()
    bytes = BigIntegerField()
    width = IntegerField()
    height = IntegerField()
    alt = TextField(null=True)
    gone_at = BigIntegerField()

    class Meta:
        table_name = "gone_pictures"


class PictureRemoval(Table):
    """A user's or room's pictures that are to be removed. Deleted when all are gone."""

    id = AutoField()
    user = ForeignKeyField(User, backref="picture_removals", null=True)
    room = ForeignKeyField(Room, backref="picture_removals", null=True)
    before_at = BigIntegerField()  # only those sent before
    spares_direct = IntegerField()  # 1: except those in a user's direct rooms

    class Meta:
        table_name = "picture_removals"


class PasswordReset(Table):
    """A link with which a user sets a new password, once. Very few."""

    id = AutoField()
    user = ForeignKeyField(User, backref="password_resets", unique=True)
    code_hash = BlobField(unique=True)
    created_at = BigIntegerField()
    expires_at = BigIntegerField()

    class Meta:
        table_name = "password_resets"


class TotpSecret(Table):
    """What a person's app makes its codes from."""

    user = ForeignKeyField(User, backref="totp_secrets", primary_key=True)
    secret = BlobField()
    used_step = BigIntegerField()  # of the last code accepted: none works twice
    created_at = BigIntegerField()

    class Meta:
        table_name = "totp_secrets"


class RecoveryCode(Table):
    """Works once, in place of a second factor. Used ones stay until new ones come."""

    id = AutoField()
    user = ForeignKeyField(User, backref="recovery_codes")
    code_hash = BlobField(unique=True)
    created_at = BigIntegerField()
    used_at = BigIntegerField(null=True)

    class Meta:
        table_name = "recovery_codes"


class Passkey(Table):
    """A key pair of which a person's device has the private half."""

    id = AutoField()
    user = ForeignKeyField(User, backref="passkeys")
    credential_id = BlobField(unique=True)
    credential = BlobField()  # with the public key: WebAuthn's attestedCredentialData
    sign_count = BigIntegerField()  # at its last use; 0 where the device counts none
    name = TextField()
    created_at = BigIntegerField()
    used_at = BigIntegerField(null=True)

    class Meta:
        table_name = "passkeys"


class ExternalAccount(Table):
    """An account elsewhere that signs a person in here (OpenID Connect)."""

    id = AutoField()
    user = ForeignKeyField(User, backref="external_accounts")
    issuer = TextField()
    subject = TextField()  # what the issuer calls it, for ever
    name = TextField()  # what people call it
    created_at = BigIntegerField()

    class Meta:
        table_name = "external_accounts"
        indexes = ((("issuer", "subject"), True),)


class AuditRecord(Table):
    """What an owner or admin did, and to whom; kept for a year. A few a day."""

    id = AutoField()
    done_at = BigIntegerField()
    actor = ForeignKeyField(
        User, backref="audit_records", null=True
    )  # null: the operator
    name = TextField()  # core/audit.py lists them
    user = ForeignKeyField(User, backref="audited", null=True)
    room = ForeignKeyField(Room, backref="audited", null=True)
    details = TextField(null=True)  # "member", "30 days": as short as possible
    address = TextField(null=True)  # from where; null: by the operator, or by Hai
    device = TextField(null=True)  # "Firefox on Linux"

    class Meta:
        table_name = "deeds"


class Reaction(Table):
    """A user's emoji on a hai: the many-to-many relation between the two."""

    hai = ForeignKeyField(Hai, backref="reactions")
    user = ForeignKeyField(User, backref="reactions")
    emoji = TextField()
    created_at = BigIntegerField()

    class Meta:
        table_name = "reactions"
        primary_key = CompositeKey("hai", "user", "emoji")


MODELS = (
    Server,
    User,
    Avatar,
    Session,
    Invite,
    Room,
    Membership,
    Hai,
    HaiNumber,
    Picture,
    Thumbnail,
    Chunk,
    UnfinishedUpload,
    Reaction,
    GonePicture,
    PictureRemoval,
    PasswordReset,
    TotpSecret,
    RecoveryCode,
    Passkey,
    ExternalAccount,
    AuditRecord,
)
