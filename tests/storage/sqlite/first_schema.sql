-- The schema of version 1, as it was released. Never edited.

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
END;

PRAGMA user_version = 1;
