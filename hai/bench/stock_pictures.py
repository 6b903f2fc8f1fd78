"""The peer: pictures on Tornado as its documentation has it.

A form is taken from `request.files` and stored as one BLOB; a picture is read whole
and written. No sessions, no checks: what it costs more is the price of holding each
picture, and of doing so on the loop.
"""

import asyncio
import sqlite3
import sys

import tornado.web

from hai.bench import gallery

MAX_BYTES = 1024 * 1024 * 1024


class MainHandler(tornado.web.RequestHandler):
    def get(self) -> None:
        self.write("hai")


class StockPictureHandler(tornado.web.RequestHandler):
    def initialize(self, db: sqlite3.Connection) -> None:
        self.db = db

    def get(self, number: str) -> None:
        query = "SELECT bytes FROM pictures WHERE id = ?"
        (content,) = self.db.execute(query, (int(number),)).fetchone()
        self.set_header("Content-Type", "image/png")
        self.write(content)


class StockUploadHandler(StockPictureHandler):
    def post(self) -> None:
        store(self.db, self.request.files["picture"][0].body)
        self.set_status(201)


def store(db: sqlite3.Connection, content: bytes) -> None:
    with db:
        db.execute("INSERT INTO pictures (bytes) VALUES (?)", (content,))


def open_database(path: str) -> sqlite3.Connection:
    db = sqlite3.connect(path)
    db.execute("PRAGMA journal_mode = wal")
    db.execute("PRAGMA synchronous = full")
    db.execute("CREATE TABLE IF NOT EXISTS pictures (id INTEGER PRIMARY KEY, bytes)")
    return db


async def serve(path: str, small: int, thumbnail_bytes: int, large_bytes: int) -> None:
    db = open_database(path)
    for number in range(small):
        store(db, gallery.thumbnail(number, thumbnail_bytes))
    if large_bytes:
        store(db, b"".join(gallery.png(large_bytes)))
    settings = {"db": db}
    application = tornado.web.Application(
        [
            ("/", MainHandler),
            (r"/pictures/(\d+)", StockPictureHandler, settings),
            ("/pictures", StockUploadHandler, settings),
        ]
    )
    listener = application.listen(
        0, "127.0.0.1", max_body_size=MAX_BYTES, max_buffer_size=MAX_BYTES
    )
    port = next(iter(listener._sockets.values())).getsockname()[1]
    print(f"http://127.0.0.1:{port}", flush=True)
    await asyncio.Event().wait()


if __name__ == "__main__":
    sizes = [int(word) for word in sys.argv[2:]] or [0, 0, 0]
    asyncio.run(serve(sys.argv[1], *sizes))
