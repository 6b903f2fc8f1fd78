"""One request again and again, over a few connections, as fast as it is answered.

By `wrk` (Debian's package) where it is installed: it takes a hundredth of the time of a
server in Python. Else by a loop of our own, good enough for pages; `words` says which.
"""

import re
import shutil
import subprocess
import time
from dataclasses import dataclass

from hai.bench.load.clients import BenchError, Client, ClientPool
from hai.bench.load.http import END_OF_HEAD, length_of

CONNECTIONS = 8
WRK = shutil.which("wrk") or ""
LEAST_S = 1  # that wrk can be told
DRAIN_S = 60.0
ANSWERED = re.compile(r"(\d+) requests in ")
REFUSED = re.compile(r"Non-2xx or 3xx responses: (\d+)")
BROKEN = re.compile(r"Socket errors: connect (\d+), read (\d+), write (\d+)")


@dataclass(frozen=True)
class Answers:
    """wrong: refused, or not answered at all."""

    count: int
    wrong: int
    seconds: float

    @property
    def per_s(self) -> float:
        return self.count / self.seconds


def words() -> str:
    if WRK:
        return f"asked by wrk -t1 -c{CONNECTIONS}"
    return f"wrk is not installed: asked by {CONNECTIONS} connections in Python"


def ask(port: int, path: str, headers: dict[str, str], seconds: float) -> Answers:
    run = _by_wrk if WRK else _by_python
    return run(port, path, headers, seconds)


def _by_wrk(port: int, path: str, headers: dict[str, str], seconds: float) -> Answers:
    whole_s = max(LEAST_S, round(seconds))
    given = [f"-H{name}: {value}" for name, value in headers.items()]
    command = [WRK, "-t1", f"-c{CONNECTIONS}", f"-d{whole_s}s", *given]
    address = f"http://127.0.0.1:{port}{path}"
    began_s = time.perf_counter()
    ran = subprocess.run(
        [*command, address], capture_output=True, text=True, check=False
    )
    if ran.returncode:
        raise BenchError(ran.stdout + ran.stderr)
    return read_report(ran.stdout, time.perf_counter() - began_s)


def read_report(said: str, seconds: float) -> Answers:
    """What wrk has printed."""
    answered, refused = ANSWERED.search(said), REFUSED.search(said)
    if answered is None:
        raise BenchError(said)
    broken = BROKEN.search(said)
    wrong = int(refused[1]) if refused else 0
    wrong += sum(map(int, broken.groups())) if broken else 0
    return Answers(int(answered[1]), wrong, seconds)


def _by_python(
    port: int, path: str, headers: dict[str, str], seconds: float
) -> Answers:
    lines = [f"GET {path} HTTP/1.1", "Host: 127.0.0.1"]
    lines += [f"{name}: {value}" for name, value in headers.items()]
    request = "\r\n".join([*lines, "", ""]).encode()
    with ClientPool(port) as pool:
        asking = [Asking(pool, request) for _ in range(CONNECTIONS)]
        began_s = time.perf_counter()
        pool.run(began_s + seconds)
        took_s = time.perf_counter() - began_s
        count = sum(one.answered for one in asking)
        for one in asking:
            one.is_stopping = True
        pool.run(
            time.perf_counter() + DRAIN_S,
            is_done=lambda: all(one.is_done for one in asking),
        )
    wrong = sum(one.wrong + (not one.is_done) for one in asking)
    return Answers(count, wrong, took_s)


class Asking:
    """One connection, which asks again when it has been answered."""

    def __init__(self, pool: ClientPool, request: bytes) -> None:
        self.request = request
        self.answered = self.wrong = 0
        self.is_stopping = self.is_done = False
        self._missing = -1  # bytes of the body; -1: still in the head
        self._head = b""
        pool.adopt(self.hear).send(request)

    def hear(self, client: Client, data: memoryview, now_s: float) -> None:
        got = len(data)
        if self._missing < 0:
            head, end, rest = (self._head + bytes(data)).partition(END_OF_HEAD)
            if not end:
                self._head = head
                return
            self.wrong += b" 200 " not in head[:16]
            self._missing, got = length_of(head), len(rest)
        self._missing -= got
        if self._missing <= 0:
            self._ended(client)

    def _ended(self, client: Client) -> None:
        self.answered += 1
        self._missing, self._head = -1, b""
        if self.is_stopping:
            self.is_done = True
        else:
            client.send(self.request)
