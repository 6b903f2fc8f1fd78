"""Keeps libraries that Hai does not use out of its process.

Our dependencies import others if they are installed: python-engineio's client imports
aiohttp, Peewee psycopg, python-socketio's Redis manager redis. A server uses none of
them, and if they are installed they take 28 MiB and more than a second of the start.
They are therefore hidden while our modules are imported.
"""

import contextlib
import sys
from collections.abc import Iterator

UNUSED = ("aiohttp", "psycopg", "psycopg2", "psycopg2cffi", "redis")


@contextlib.contextmanager
def imports() -> Iterator[None]:
    """Within it an import of UNUSED fails, as if they were not installed."""
    hidden = [name for name in UNUSED if name not in sys.modules]
    sys.modules.update(dict.fromkeys(hidden))  # type: ignore[arg-type]  # None: not there
    try:
        yield
    finally:
        for name in hidden:
            sys.modules.pop(name, None)
