"""A server in a process of its own, pinned to a core and measured by the kernel."""

import contextlib
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

TICKS_PER_S = os.sysconf("SC_CLK_TCK")
PAGE_KIB = os.sysconf("SC_PAGE_SIZE") // 1024
CPU_FIELDS = slice(11, 13)  # utime and stime, counted after the name's bracket
RSS_FIELD = 21


@dataclass(frozen=True)
class Cores:
    """server and generator: one core each, the same one where there is one."""

    server: int
    generator: int

    @property
    def words(self) -> str:
        if self.server == self.generator:
            return "server and generator share the only core: figures mean little"
        return f"server on core {self.server}, generator on core {self.generator}"


def choose_cores() -> Cores:
    allowed = sorted(os.sched_getaffinity(0))
    return Cores(allowed[0], allowed[-1])


@contextlib.contextmanager
def pinned(core: int) -> Iterator[None]:
    """This thread, and what it starts, on one core."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {core})
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


class ServerProcess:
    """A child that prints an address, `http://HOST:PORT`, when it serves."""

    def __init__(self, command: Sequence[str], core: int, log_path: Path) -> None:
        self.began_s = time.perf_counter()
        with log_path.open("ab") as log, pinned(core):
            self.process = subprocess.Popen(
                [sys.executable, *command],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
            )
        self.port = self._read_port(log_path)

    def _read_port(self, log_path: Path) -> int:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            if found := re.search(r"http://\S+", line):
                return int(urlsplit(found[0]).port or 0)
        raise RuntimeError(f"the server did not start:\n{log_path.read_text()}")

    def __enter__(self) -> "ServerProcess":
        return self

    def __exit__(self, *_: Any) -> None:
        self.stop()

    @property
    def cpu_s(self) -> float:
        """User and system time of all its threads until now."""
        return sum(map(int, self._stat()[CPU_FIELDS])) / TICKS_PER_S

    @property
    def rss_kib(self) -> int:
        return int(self._stat()[RSS_FIELD]) * PAGE_KIB

    @property
    def rss_peak_kib(self) -> int:
        """The most since `forget_peak`, however short it lasted."""
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        found = re.search(r"^VmHWM:\s+(\d+) kB$", status, re.MULTILINE)
        assert found is not None
        return int(found[1])

    def forget_peak(self) -> None:
        Path(f"/proc/{self.process.pid}/clear_refs").write_text("5")

    def _stat(self) -> list[str]:
        text = Path(f"/proc/{self.process.pid}/stat").read_text()
        return text.rpartition(")")[2].split()

    def stop(self) -> None:
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(timeout=60)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        if self.process.stdout:
            self.process.stdout.close()
