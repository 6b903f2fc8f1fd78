"""How a database of any age is brought to the current schema.

`MIGRATIONS` is an ordered list; its length is the schema version, stored in `PRAGMA
user_version`. Add to its end, and never edit one that was released. Each runs in a
transaction of its own together with its new version number, so a crash leaves either
the old schema or the new one.
"""

import contextlib
import hashlib
from collections.abc import Callable
from typing import Any

from hai import clock, ids
from hai.storage.sqlite.faults import Unusable

Execute = Callable[..., Any]


class NewerSchema(Unusable):
    """The file was written by a newer Hai."""


def first_schema(execute: Execute) -> None:
    """Everything of version 1. The full-text index covers all rows from the start."""
    for statement in FIRST_SCHEMA.split(";\n\n"):
        execute(statement)
    execute(
        "INSERT INTO server (id, rev, epoch, created_at) VALUES (1, 0, ?, ?)",
        (ids.new_epoch(), clock.now_ms()),
    )


FIRST_SCHEMA = """
CREATE TABLE server (
    id INTEGER PRIMARY KEY CHECK (id = 1),
    rev INTEGER NOT NULL,
    epoch TEXT NOT NULL,
    created_at INTEGER NOT NULL
);

CREATE TABLE users (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    rev INTEGER NOT NULL,
    name TEXT NOT NULL COLLATE NOCASE UNIQUE,
    display_name TEXT NOT NULL,
    kind TEXT NOT NULL CHECK (kind IN ('person', 'bot')),
    role TEXT NOT NULL CHECK (role IN ('owner', 'admin', 'member')),
    password_hash TEXT,
    created_at INTEGER NOT NULL,
    deactivated_at INTEGER
);

CREATE INDEX users_rev ON users (rev);

CREATE TABLE sessions (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    user_id INTEGER NOT NULL REFERENCES users (id),
    kind TEXT NOT NULL CHECK (kind IN ('browser', 'token')),
    token_hash BLOB NOT NULL UNIQUE,
    user_agent TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    seen_at INTEGER NOT NULL,
    ended_at INTEGER
);

CREATE INDEX sessions_user ON sessions (user_id);

CREATE TABLE invites (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    code_hash BLOB NOT NULL UNIQUE,
    created_by_id INTEGER REFERENCES users (id),
    created_at INTEGER NOT NULL,
    expires_at INTEGER NOT NULL
);

CREATE TABLE rooms (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    rev INTEGER NOT NULL,
    kind TEXT NOT NULL CHECK (kind IN ('open', 'closed', 'direct')),
    name TEXT,
    topic TEXT,
    created_by_id INTEGER REFERENCES users (id),
    created_at INTEGER NOT NULL,
    is_for_everyone INTEGER NOT NULL DEFAULT 0,
    direct_key TEXT UNIQUE,
    member_count INTEGER NOT NULL DEFAULT 0,
    CHECK ((kind = 'direct') = (direct_key IS NOT NULL))
);

CREATE INDEX rooms_rev ON rooms (rev);

CREATE TABLE memberships (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    rev INTEGER NOT NULL,
    room_id INTEGER NOT NULL REFERENCES rooms (id),
    user_id INTEGER NOT NULL REFERENCES users (id),
    made_rev INTEGER NOT NULL,
    began_rev INTEGER NOT NULL,
    began_at INTEGER NOT NULL,
    ended_at INTEGER,
    read_hai_id INTEGER NOT NULL DEFAULT 0,
    UNIQUE (room_id, user_id)
);

CREATE INDEX memberships_user_rev ON memberships (user_id, rev);

CREATE TABLE hais (
    id INTEGER PRIMARY KEY,
    rev INTEGER NOT NULL,
    room_id INTEGER NOT NULL REFERENCES rooms (id),
    user_id INTEGER NOT NULL REFERENCES users (id),
    client_id TEXT,
    order_hash INTEGER,
    text TEXT NOT NULL,
    html TEXT,
    sent_at INTEGER NOT NULL,
    edited_at INTEGER,
    deleted_at INTEGER,
    reply_to INTEGER
);

CREATE INDEX hais_room ON hais (room_id, id);

CREATE INDEX hais_changed ON hais (room_id, rev) WHERE rev <> id;

CREATE UNIQUE INDEX hais_client ON hais (user_id, client_id)
    WHERE client_id IS NOT NULL;

CREATE TABLE pictures (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    room_id INTEGER NOT NULL REFERENCES rooms (id),
    user_id INTEGER NOT NULL REFERENCES users (id),
    hai_id INTEGER REFERENCES hais (id),
    position INTEGER NOT NULL DEFAULT 0,
    name TEXT NOT NULL,
    type TEXT NOT NULL,
    bytes INTEGER NOT NULL DEFAULT 0,
    width INTEGER NOT NULL DEFAULT 0,
    height INTEGER NOT NULL DEFAULT 0,
    alt TEXT,
    sha256 BLOB,
    bytes_of_id INTEGER REFERENCES pictures (id),
    uploaded_at INTEGER NOT NULL,
    completed_at INTEGER,
    is_animated INTEGER NOT NULL DEFAULT 0,
    blur TEXT,
    thumbnail_tried_at INTEGER
);

CREATE INDEX pictures_hai ON pictures (hai_id) WHERE hai_id IS NOT NULL;

CREATE INDEX pictures_waiting ON pictures (uploaded_at) WHERE hai_id IS NULL;

CREATE INDEX pictures_without_thumbnail ON pictures (id)
    WHERE thumbnail_tried_at IS NULL AND completed_at IS NOT NULL;

CREATE INDEX pictures_content ON pictures (sha256) WHERE completed_at IS NOT NULL;

CREATE INDEX pictures_sharing ON pictures (bytes_of_id)
    WHERE bytes_of_id IS NOT NULL;

CREATE INDEX pictures_user ON pictures (user_id, bytes);

CREATE TABLE thumbnails (
    picture_id INTEGER PRIMARY KEY REFERENCES pictures (id),
    type TEXT NOT NULL,
    width INTEGER NOT NULL,
    height INTEGER NOT NULL,
    bytes BLOB NOT NULL
);

CREATE TABLE chunks (
    id INTEGER PRIMARY KEY,
    picture_id INTEGER NOT NULL REFERENCES pictures (id),
    number INTEGER NOT NULL,
    offset INTEGER NOT NULL,
    bytes BLOB NOT NULL,
    UNIQUE (picture_id, number)
);

CREATE TABLE reactions (
    hai_id INTEGER NOT NULL REFERENCES hais (id),
    user_id INTEGER NOT NULL REFERENCES users (id),
    emoji TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    PRIMARY KEY (hai_id, user_id, emoji)
) WITHOUT ROWID;

CREATE VIRTUAL TABLE hais_index USING fts5 (
    text, content = 'hais', content_rowid = 'id',
    tokenize = 'unicode61 remove_diacritics 2'
);

CREATE TRIGGER hais_index_insert AFTER INSERT ON hais
WHEN new.text <> '' BEGIN
    INSERT INTO hais_index (rowid, text) VALUES (new.id, new.text);
END;

CREATE TRIGGER hais_index_update AFTER UPDATE OF text ON hais BEGIN
    INSERT INTO hais_index (hais_index, rowid, text)
        SELECT 'delete', old.id, old.text WHERE old.text <> '';
    INSERT INTO hais_index (rowid, text)
        SELECT new.id, new.text WHERE new.text <> '';
END
"""


def running_mark(execute: Execute) -> None:
    """The durability of the current run; null: the last run ended cleanly."""
    execute("ALTER TABLE server ADD COLUMN running TEXT")


def avatars(execute: Execute) -> None:
    """A small square picture of a user; avatar_rev is the rev at which it was set."""
    execute("ALTER TABLE users ADD COLUMN avatar_rev INTEGER")
    execute(
        "CREATE TABLE avatars ("
        " user_id INTEGER PRIMARY KEY REFERENCES users (id),"
        " type TEXT NOT NULL,"
        " sha256 BLOB NOT NULL,"
        " bytes BLOB NOT NULL)"
    )


def digests(execute: Execute) -> None:
    """Compared with what is read; null: stored before digests existed."""
    execute("ALTER TABLE chunks ADD COLUMN sha256 BLOB")
    execute("ALTER TABLE thumbnails ADD COLUMN sha256 BLOB")


def duration(execute: Execute) -> None:
    """Videos and voices have a duration; pictures do not."""
    execute("ALTER TABLE pictures ADD COLUMN duration_ms INTEGER NOT NULL DEFAULT 0")


def epoch_before(execute: Execute) -> None:
    """Which epoch the present one continues, and at which rev that ended."""
    execute("ALTER TABLE server ADD COLUMN epoch_before TEXT")
    execute("ALTER TABLE server ADD COLUMN rev_before INTEGER")


def thumbnail_digests(execute: Execute) -> None:
    """For thumbnails stored before digests existed, from their present bytes."""
    picture_id = 0
    query = (
        "SELECT picture_id, bytes FROM thumbnails WHERE picture_id > ?"
        " AND sha256 IS NULL ORDER BY picture_id LIMIT 1"
    )
    while row := execute(query, (picture_id,)).fetchone():
        picture_id, content = row
        execute(
            "UPDATE thumbnails SET sha256 = ? WHERE picture_id = ?",
            (hashlib.sha256(content).digest(), picture_id),
        )


def replies_to_pictures(execute: Execute) -> None:
    """Which picture of the hai it replies to."""
    execute("ALTER TABLE hais ADD COLUMN reply_to_picture INTEGER")


def add_retention(execute: Execute) -> None:
    """How long rooms keep pictures, quotas of single users, the audit log."""
    execute(
        "ALTER TABLE rooms ADD COLUMN picture_days INTEGER NOT NULL DEFAULT 0"
        " CHECK (picture_days >= 0)"
    )
    execute("ALTER TABLE users ADD COLUMN max_bytes INTEGER CHECK (max_bytes >= 0)")
    for statement in RETENTION.split(";\n\n"):
        execute(statement)


RETENTION = """
CREATE TABLE gone_pictures (
    id INTEGER PRIMARY KEY,
    hai_id INTEGER NOT NULL REFERENCES hais (id),
    position INTEGER NOT NULL,
    name TEXT NOT NULL,
    type TEXT NOT NULL,
    bytes INTEGER NOT NULL,
    width INTEGER NOT NULL,
    height INTEGER NOT NULL,
    alt TEXT,
    gone_at INTEGER NOT NULL
);

CREATE INDEX gone_pictures_hai ON gone_pictures (hai_id);

CREATE TABLE picture_removals (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    user_id INTEGER REFERENCES users (id),
    room_id INTEGER REFERENCES rooms (id),
    before_at INTEGER NOT NULL,
    CHECK ((user_id IS NULL) <> (room_id IS NULL))
);

CREATE TABLE password_resets (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    user_id INTEGER NOT NULL UNIQUE REFERENCES users (id),
    code_hash BLOB NOT NULL UNIQUE,
    created_at INTEGER NOT NULL,
    expires_at INTEGER NOT NULL
);

CREATE TABLE deeds (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    done_at INTEGER NOT NULL,
    actor_id INTEGER REFERENCES users (id),
    name TEXT NOT NULL,
    user_id INTEGER REFERENCES users (id),
    room_id INTEGER REFERENCES rooms (id),
    details TEXT
);

CREATE INDEX deeds_done ON deeds (done_at);

CREATE INDEX pictures_room_bytes ON pictures (room_id, hai_id, bytes)
"""


def resumable_uploads(execute: Execute) -> None:
    """Pictures that are still arriving, so that they can be resumed."""
    for statement in UPLOADS.split(";\n\n"):
        execute(statement)


UPLOADS = """
CREATE TABLE uploads (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    token_hash BLOB NOT NULL UNIQUE,
    user_id INTEGER NOT NULL REFERENCES users (id),
    room_id INTEGER NOT NULL REFERENCES rooms (id),
    picture_id INTEGER REFERENCES pictures (id) ON DELETE SET NULL,
    length INTEGER NOT NULL CHECK (length > 0),
    received INTEGER NOT NULL DEFAULT 0 CHECK (received BETWEEN 0 AND length),
    metadata TEXT NOT NULL,
    name TEXT NOT NULL,
    alt TEXT,
    keeps_metadata INTEGER NOT NULL,
    chunk_count INTEGER NOT NULL DEFAULT 0,
    tail BLOB,
    reader TEXT,
    touched_at INTEGER NOT NULL,
    completed_at INTEGER
);

CREATE INDEX uploads_user ON uploads (user_id, completed_at);

CREATE INDEX uploads_picture ON uploads (picture_id);

CREATE INDEX uploads_touched ON uploads (touched_at)
"""


def receipts(execute: Execute) -> None:
    """Rooms may show how far members have read, in hais sent after that."""
    for column in ("has_receipts", "receipts_rev"):
        execute(f"ALTER TABLE rooms ADD COLUMN {column} INTEGER NOT NULL DEFAULT 0")


def removals_that_spare_direct(execute: Execute) -> None:
    """An admin removes what a user sent to rooms, an owner everything."""
    execute(
        "ALTER TABLE picture_removals"
        " ADD COLUMN spares_direct INTEGER NOT NULL DEFAULT 0"
    )


def hai_numbers(execute: Execute) -> None:
    """So that what is unread need not be counted hai by hai.

    It is counted as others' hais, because sending marks as read; markers that an older
    `seed` has left behind their reader's own hais are moved up to those.
    """
    for statement in HAI_NUMBERS.split(";\n\n"):
        execute(statement)
    rev = execute("SELECT rev FROM server").fetchone()[0]
    for membership_id, hai_id in execute(MARKERS_BEHIND).fetchall():
        rev += 1
        execute(
            "UPDATE memberships SET read_hai_id = ?, rev = ? WHERE id = ?",
            (hai_id, rev, membership_id),
        )
    execute("UPDATE server SET rev = ?", (rev,))


# Of about one hai in 31: it is the number-th of its room. A prime number, because the
# ids of a room often go up in equal steps.
HAI_NUMBERS = """
CREATE TABLE hai_numbers (
    room_id INTEGER NOT NULL REFERENCES rooms (id),
    hai_id INTEGER NOT NULL,
    number INTEGER NOT NULL,
    PRIMARY KEY (room_id, hai_id)
) WITHOUT ROWID;

INSERT INTO hai_numbers (room_id, hai_id, number)
SELECT room_id, id, number FROM (
    SELECT room_id, id, row_number() OVER (PARTITION BY room_id ORDER BY id) AS number
    FROM hais)
WHERE id % 31 = 0;

CREATE TRIGGER hais_number AFTER INSERT ON hais
WHEN new.id % 31 = 0 BEGIN
    INSERT INTO hai_numbers (room_id, hai_id, number)
        SELECT new.room_id, new.id, coalesce(newest.number, 0) + (
            SELECT count(*) FROM hais WHERE room_id = new.room_id
                AND id > coalesce(newest.hai_id, 0) AND id <= new.id)
        FROM (SELECT 1) LEFT JOIN (
            SELECT hai_id, number FROM hai_numbers WHERE room_id = new.room_id
            ORDER BY hai_id DESC LIMIT 1) AS newest;
END;

CREATE TRIGGER hais_number_delete AFTER DELETE ON hais
WHEN old.id % 31 = 0 BEGIN
    DELETE FROM hai_numbers WHERE room_id = old.room_id AND hai_id = old.id;
END;

CREATE INDEX hais_tombstones ON hais (room_id, id) WHERE deleted_at IS NOT NULL
"""

MARKERS_BEHIND = """
SELECT m.id, own.last_id
FROM (SELECT room_id, user_id, max(id) AS last_id FROM hais
        GROUP BY room_id, user_id) AS own
    JOIN memberships m ON m.room_id = own.room_id AND m.user_id = own.user_id
WHERE m.ended_at IS NULL AND m.read_hai_id < own.last_id
ORDER BY m.id
"""


def tokens_and_places(execute: Execute) -> None:
    """Tokens get a name, a scope and an end; sessions and the audit log an address."""
    for statement in TOKENS_AND_PLACES.split(";\n\n"):
        execute(statement)


TOKENS_AND_PLACES = """
ALTER TABLE sessions ADD COLUMN name TEXT NOT NULL DEFAULT '';

ALTER TABLE sessions ADD COLUMN scope TEXT NOT NULL DEFAULT 'all'
    CHECK (scope IN ('all', 'read'));

ALTER TABLE sessions ADD COLUMN expires_at INTEGER;

ALTER TABLE sessions ADD COLUMN address TEXT NOT NULL DEFAULT '';

ALTER TABLE deeds ADD COLUMN address TEXT;

ALTER TABLE deeds ADD COLUMN device TEXT;

CREATE INDEX deeds_user ON deeds (user_id, id);

CREATE INDEX deeds_actor ON deeds (actor_id, id)
"""


def second_factors(execute: Execute) -> None:
    """What people sign in with besides passwords."""
    for statement in SECOND_FACTORS.split(";\n\n"):
        execute(statement)


SECOND_FACTORS = """
CREATE TABLE totp_secrets (
    user_id INTEGER PRIMARY KEY REFERENCES users (id),
    secret BLOB NOT NULL,
    used_step INTEGER NOT NULL,
    created_at INTEGER NOT NULL
);

CREATE TABLE recovery_codes (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    user_id INTEGER NOT NULL REFERENCES users (id),
    code_hash BLOB NOT NULL UNIQUE,
    created_at INTEGER NOT NULL,
    used_at INTEGER
);

CREATE INDEX recovery_codes_user ON recovery_codes (user_id);

CREATE TABLE passkeys (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    user_id INTEGER NOT NULL REFERENCES users (id),
    credential_id BLOB NOT NULL UNIQUE,
    credential BLOB NOT NULL,
    sign_count INTEGER NOT NULL,
    name TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    used_at INTEGER
);

CREATE INDEX passkeys_user ON passkeys (user_id);

CREATE TABLE external_accounts (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    user_id INTEGER NOT NULL REFERENCES users (id),
    issuer TEXT NOT NULL,
    subject TEXT NOT NULL,
    name TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    UNIQUE (issuer, subject)
);

CREATE INDEX external_accounts_user ON external_accounts (user_id)
"""


MIGRATIONS: tuple[Callable[[Execute], None], ...] = (
    first_schema,
    running_mark,
    avatars,
    digests,
    duration,
    epoch_before,
    thumbnail_digests,
    replies_to_pictures,
    add_retention,
    resumable_uploads,
    receipts,
    removals_that_spare_direct,
    hai_numbers,
    tokens_and_places,
    second_factors,
)


def migrate(execute: Execute) -> None:
    """Bring the open database to the newest schema. Raises NewerSchema."""
    version = execute("PRAGMA user_version").fetchone()[0]
    if version > len(MIGRATIONS):
        raise NewerSchema(f"the database {newer(version)}")
    for number, step in enumerate(MIGRATIONS[version:], start=version + 1):
        execute("BEGIN IMMEDIATE")
        try:
            step(execute)
            execute(f"PRAGMA user_version = {number}")
            execute("COMMIT")
        except BaseException:
            with contextlib.suppress(Exception):  # SQLite may have done it by itself
                execute("ROLLBACK")
            raise


def newer(version: int) -> str:
    return (
        f"was written by a newer Hai (schema {version},"
        f" this one knows {len(MIGRATIONS)})"
    )
