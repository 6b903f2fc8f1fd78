"""Reads that take as long as a test wants: whose comes when, and what ends them."""

import asyncio
import contextlib
import threading

from hai.storage.database import asker, execute

PATIENCE_S = 30

ENDLESS = """
WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i FROM n) SELECT max(i) FROM n
"""


def endless(*_args, **_names):
    """A read that ends only when it is interrupted. (reader thread)"""
    return execute(ENDLESS).fetchall()


class Endless:
    """The same, and whether one has begun: the server itself reads, too."""

    def __init__(self):
        self.begun = threading.Event()

    def __call__(self, *_args, **_names):
        self.begun.set()
        return endless()


async def until(is_true):
    """Look until it is; a test that waits in vain fails."""
    async with asyncio.timeout(PATIENCE_S):
        while not is_true():
            await asyncio.sleep(0.005)


@contextlib.asynccontextmanager
async def held(db, *, is_slow=True):
    """A read of nobody's keeps a thread busy, so that others wait, until the end."""
    held, release = threading.Event(), threading.Event()

    def hold():
        held.set()
        release.wait(PATIENCE_S)

    read = db.read_slow if is_slow else db.read
    holding = asyncio.ensure_future(read(hold))
    await until(held.is_set)
    try:
        yield
    finally:
        release.set()
        await holding


def waiting(db):
    """How many reads people wait for; the server's own, of nobody, do not count."""
    lanes = db.readers._short, db.readers._slow
    queues = [queue for lane in lanes for queue in [*lane._waiting.items()]]
    return sum(len(reads) for of, reads in queues if of is not None)


def read_for(user_id, read, *args):
    """A task that reads for this user: `read_for(7, db.read_slow, run)`."""

    async def reading():
        asker.set(user_id)
        return await read(*args)

    return asyncio.create_task(reading())
