"""A server process with people in one room, for the tests of this folder."""

import re
import signal
import time
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from tests.served import Served


class Stage:
    """`run.py` on one data folder, through any number of lives.

    port: the same in each life, so that clients find it again.
    tokens: one bearer token a person; all are in the room `room_id`.
    """

    def __init__(self, folder, *flags, people=16):
        self.data = Path(folder) / "data"
        self.flags = ("--rate-limits", "off", *flags)
        self.served = Served(self.data, *self.flags)
        self.people = people
        self.ready_s = []  # from start to the address line, each life
        self.port = 0

    def set_up(self):
        """Add everybody, and serve."""
        run = self.served.run
        run("seed", "--users", self.people, "--rooms", 1, "--hais", 0)
        self.start()
        self.room_id = int(run("rooms", "add", "Stage", "--all"))
        self.names = [line.split("\t")[0] for line in run("users", "list").splitlines()]
        self.tokens = run("users", "token", *self.names).split()
        return self

    def start(self):
        self.served.flags = ("--port", self.port, *self.flags)
        began_s = time.monotonic()
        self.served.printed = ""
        self.served.start()
        self.ready_s.append(time.monotonic() - began_s)
        self.port = int(re.search(r":(\d+)$", self.served.url)[1])

    def kill(self):
        return self.served.stop(signal.SIGKILL)

    def stop(self):
        return self.served.stop()

    @property
    def database(self):
        return self.data / "hai.db"


@contextmanager
def stage(*flags, people=16, folder=None):
    """A stage in a temporary folder (or a given one), stopped at the end."""
    with TemporaryDirectory(dir=folder) as made:
        staged = Stage(made, *flags, people=people)
        try:
            yield staged.set_up()
        finally:
            if staged.served.process:
                staged.served.stop(signal.SIGKILL)
