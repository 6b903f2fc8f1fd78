"""Every flipped bit in a picture or a thumbnail is found, whoever shares its bytes.

python -m tests.durability.flips --flips 10000 --seed 1
"""

import argparse
import hashlib
import mmap
import re
import sqlite3
import time
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory

from hai.storage.sqlite import verify
from tests.served import run_command

PICTURES = 60  # added to those of the community, a third of them shared
AT_ONCE = 40  # flips, each in a picture of its own, before a look
LARGEST_BYTES = 600_000
WINDOW_BYTES = 48  # of noise: enough to find a place in the file
CHUNK_BYTES = 256 * 1024


@dataclass
class Found:
    """What was done and seen. missed, wrong: of which pictures, lines of verify."""

    flips: int = 0
    shared: int = 0  # of those, in bytes whose first owner has been deleted
    thumbnails: int = 0
    missed: list = field(default_factory=list)
    wrong: list = field(default_factory=list)
    hashed_bytes: int = 0
    hashing_s: float = 0.0


def add_pictures(path, chance):
    """Noise of all sizes, with thumbnails; returns the ids of shared bytes."""
    with closing(sqlite3.connect(path)) as db, db:
        hais = db.execute(
            "SELECT id, user_id, room_id FROM hais WHERE deleted_at IS NULL"
        ).fetchall()
        return {
            picture_id
            for number in range(PICTURES)
            if (picture_id := add_picture(db, chance, hais, number % 3 == 0))
        }


def add_picture(db, chance, hais, is_shared):
    """Returns its id if its first owner's hai is gone, and another's has the bytes."""
    hai = chance.choice(hais)
    data = chance.randbytes(chance.randrange(5_000, LARGEST_BYTES))
    about = (len(data), hashlib.sha256(data).digest())
    owner = insert(db, None if is_shared else hai, hai, about, None)
    for number, at in enumerate(range(0, len(data), CHUNK_BYTES)):
        db.execute(
            'INSERT INTO chunks (picture_id, number, "offset", bytes)'
            " VALUES (?, ?, ?, ?)",
            (owner, number, at, data[at : at + CHUNK_BYTES]),
        )
    shown = insert(db, hai, hai, about, owner) if is_shared else owner
    small = chance.randbytes(chance.randrange(5_000, 60_000))
    db.execute(
        "INSERT INTO thumbnails (picture_id, type, width, height, bytes, sha256)"
        " VALUES (?, 'image/webp', 64, 48, ?, ?)",
        (shown, small, hashlib.sha256(small).digest()),
    )
    return owner if is_shared else None


def insert(db, hai, place, about, owner):
    """A row, whole if it belongs to a hai; returns its id."""
    _, user_id, room_id = place
    hai_id = hai and hai[0]
    return db.execute(
        "INSERT INTO pictures (room_id, user_id, hai_id, name, type, uploaded_at,"
        " completed_at, thumbnail_tried_at, width, height, bytes, sha256, bytes_of_id,"
        " position) VALUES (?, ?, ?, 'p.png', 'image/png', 0, ?, 0, 9, 9, ?, ?, ?,"
        " (SELECT count(*) FROM pictures WHERE hai_id = ?))",
        (room_id, user_id, hai_id, hai_id and 1, *about, owner, hai_id),
    ).lastrowid


def flip_some(path, chance, count, shared, found):
    """Flip a bit in each of some pictures, look, and flip them back."""
    with closing(sqlite3.connect(path)) as db:
        ids = [row[0] for row in db.execute("SELECT DISTINCT picture_id FROM chunks")]
        small = [row[0] for row in db.execute("SELECT picture_id FROM thumbnails")]
        things = [("bytes", id_) for id_ in ids] + [("thumbnail", id_) for id_ in small]
        chosen = chance.sample(things, min(count, len(things)))
        windows = {thing: window(db, chance, *thing) for thing in chosen}
    flips = {}
    with path.open("r+b") as file, mmap.mmap(file.fileno(), 0) as content:
        for thing, data in windows.items():
            while (at := content.find(data)) < 0:  # it goes on in another page
                with closing(sqlite3.connect(path)) as db:
                    data = window(db, chance, *thing)
            flips[thing] = (at + chance.randrange(len(data)), chance.randrange(8))
        flip(content, flips)
        look(path, flips, found)
        flip(content, flips)
    found.flips += len(flips)
    found.shared += sum(kind == "bytes" and id_ in shared for kind, id_ in flips)
    found.thumbnails += sum(kind == "thumbnail" for kind, _ in flips)


def window(db, chance, kind, picture_id):
    """Some bytes of a picture, or of its thumbnail, wherever."""
    table = "chunks" if kind == "bytes" else "thumbnails"
    query = f"SELECT bytes FROM {table} WHERE picture_id = ?"
    data = chance.choice(db.execute(query, (picture_id,)).fetchall())[0]
    at = chance.randrange(max(1, len(data) - WINDOW_BYTES))
    return data[at : at + WINDOW_BYTES]


def flip(content, flips):
    for at, bit in flips.values():
        content[at] ^= 1 << bit


def look(path, flips, found):
    counts, hashing = verify.Counts(), []
    lines = list(verify.problems(path, counts, pause=hashing.append))
    named = set()
    for line in lines:
        match = re.match(r"(thumbnail of )?picture (\d+): its bytes", line)
        kind = "thumbnail" if match and match[1] else "bytes"
        named.add((kind, int(match[2])) if match else line)
    found.missed += sorted(flips.keys() - named)
    found.wrong += sorted(map(str, named - flips.keys()))
    found.hashed_bytes += counts.picture_bytes
    found.hashing_s += sum(hashing)


def run(path, count, seed):
    """Prepare the database at `path`, and flip `count` bits in it."""
    chance, found = Random(seed), Found()
    shared = add_pictures(path, chance)
    while found.flips < count:
        flip_some(path, chance, min(AT_ONCE, count - found.flips), shared, found)
    return found


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--flips", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args()
    began_s = time.monotonic()
    with TemporaryDirectory() as folder:
        data = Path(folder) / "data"
        run_command(data, "seed", "--users", 20, "--rooms", 3, "--hais", 1000)
        found = run(data / "hai.db", given.flips, given.seed)
    print(*found.missed[:20], *found.wrong[:20], sep="\n", end="\n")
    print(
        f"seed {given.seed}: {found.flips} flips, {found.shared} in shared bytes,"
        f" {found.thumbnails} in thumbnails: {len(found.missed)} missed,"
        f" {len(found.wrong)} found that were none;"
        f" {found.hashed_bytes / found.hashing_s / 2**20:.0f} MiB/s hashed;"
        f" {time.monotonic() - began_s:.0f} s in all"
    )
    return bool(found.missed or found.wrong)


if __name__ == "__main__":
    raise SystemExit(main())
