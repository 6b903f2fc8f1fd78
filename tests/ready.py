"""Databases made once by Hai itself, and a copy of one for each test.

A new one takes some forty syncs of the disk (its migrations, Eliza, the cast), a start
on one that is there takes eight. So what most tests begin with is made once in each
worker, by the same code, in a server that was stopped as any is: every test still has
a real file, which is its own.
"""

import copy
import shutil
import time
from contextlib import asynccontextmanager

from hai import config as settings
from hai.app import make_app, open_core
from tests.factories import make_cast

MAX_AGE_S = 600  # so that nobody in it was seen hours ago, however long the run


class Ready:
    """The worker's databases: with or without a server's bots, a cast, or both."""

    def __init__(self, folder):
        self.folder = folder
        self.made = {}  # (has_server, has_cast) -> (path, cast or None, made at)

    async def copy(self, config, *, has_server, has_cast):
        """Put a copy where the config's server will look; returns its cast, if any."""
        kind = (has_server, has_cast)
        made = self.made.get(kind)
        if not made or time.monotonic() - made[-1] > MAX_AGE_S:
            self.made[kind] = made = await self._make(*kind)
        path, cast, _ = made
        config.database_path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        shutil.copy(path, config.database_path)
        return copy.deepcopy(cast)

    async def _make(self, has_server, has_cast):
        data = self.folder / f"{len(list(self.folder.iterdir()))}"
        config = settings.load({"port": "0", "data": str(data)}, {})
        async with (serving if has_server else open_core)(config) as core:
            cast = await make_cast(core) if has_cast else None
        return config.database_path, cast, time.monotonic()


@asynccontextmanager
async def serving(config):
    """A whole server for a while; gives its core."""
    app = make_app(config)
    await app.start()
    try:
        yield app.core
    finally:
        await app.stop()
