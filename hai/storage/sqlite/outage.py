"""When the store refuses writes for a while: told once, counted, and told when it ends.

A disk that fails writes (EIO), or another program's lock, refuses one batch after the
other; a line in the log for each would fill the disk as well. The writer tries again by
itself once a second, so an outage also ends when nobody posts.
"""

import logging

from peewee import SqliteDatabase

from hai.storage.sqlite import migrations

logger = logging.getLogger(__name__)


class Outage:
    """is_on: the last batch was refused. Changed by the writer thread, read by any.

    failed_count: writes refused since the start.
    """

    def __init__(self, engine: SqliteDatabase) -> None:
        self.engine = engine
        self.is_on = False
        self.failed_count = 0
        self._count_before = 0  # failed in earlier outages

    def count(self, error: Exception, write_count: int) -> None:
        """These writes were refused."""
        if not self.is_on:
            logger.error("writes fail and are answered with busy: %s", error)
        self.is_on = True
        self.failed_count += write_count

    def probe(self) -> None:
        """Within a transaction: make its COMMIT write, whatever else is in it.

        Most statements that change nothing write nothing, and prove nothing.
        """
        version = len(migrations.MIGRATIONS)
        self.engine.execute_sql(f"PRAGMA user_version = {version}")

    def end(self) -> None:
        """A batch was stored."""
        if self.is_on:
            count = self.failed_count - self._count_before
            logger.warning("writes succeed again; %d had failed", count)
        self.is_on = False
        self._count_before = self.failed_count
