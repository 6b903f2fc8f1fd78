"""Clients of plain HTTP: one that asks again and again, one that uploads.

`DownloadLoop` uses one connection of a pool and compares every byte it receives.
`SteadyRequests` sends requests at a steady rate over as many connections as that takes.
An upload blocks a thread of its own, which spends its time in the kernel.
"""

import re
import socket
import threading
import time
from collections.abc import Iterable, Sequence

from hai.bench.load.clients import (
    BenchError,
    Client,
    ClientPool,
)

BOUNDARY = b"hai-bench-boundary"
END_OF_HEAD = b"\r\n\r\n"
ASK_EVERY_S = 0.05  # of who asks quietly


def get_request(path: str, token: str = "") -> bytes:
    lines = [f"GET {path} HTTP/1.1", "Host: 127.0.0.1", *_bearer(token)]
    return "\r\n".join([*lines, "", ""]).encode()


def _bearer(token: str) -> list[str]:
    return [f"Authorization: Bearer {token}"] if token else []


class DownloadLoop:
    """Requests one thing after another, each when the one before has arrived whole.

    wanted: (request, body) pairs, which are asked for in turn.
    """

    def __init__(
        self, pool: ClientPool, wanted: Sequence[tuple[bytes, bytes]], first: int = 0
    ) -> None:
        self.wanted = wanted
        self.answers = self.byte_count = self.wrong = 0
        self.is_stopping = False
        self.is_done = False
        self._next = first
        self._head = b""
        self._got = -1  # bytes of the body; -1: still in the head
        self.client = pool.adopt(self.hear)
        self.ask(self.client)

    def ask(self, client: Client) -> None:
        request, self._body = self.wanted[self._next % len(self.wanted)]
        self._next += 1
        self._head, self._got = b"", -1
        client.send(request)

    def hear(self, client: Client, data: memoryview, now_s: float) -> None:
        if self._got < 0:
            head, end, rest = (self._head + bytes(data)).partition(END_OF_HEAD)
            if not end:
                self._head = head
                return
            if b" 200 " not in head[:16]:
                raise BenchError(head.decode("latin1"))
            self._got, data = 0, memoryview(rest)
        self.wrong += not self._body.startswith(data, self._got)
        self._got += len(data)
        self.byte_count += len(data)
        if self._got >= len(self._body):
            self.answers += 1
            if self.is_stopping:
                self.is_done = True
            else:
                self.ask(client)


class SteadyRequests:
    """Requests one thing at a steady rate, however slow the answers: each time on an
    idle connection, or on a new one.

    An answer's latency counts from when it was meant to be asked for. refused: the
    server said 429 or 503, at once.
    """

    def __init__(self, pool: ClientPool, path: str, token: str, rate: float) -> None:
        self.pool = pool
        self.request = get_request(path, token)
        self.rate = rate
        self.asked = self.answered = self.refused = 0
        self.latencies_ms: list[float] = []
        self._free: list[Client] = []

    def begin(self) -> None:
        self.asked = self.answered = self.refused = 0
        self.latencies_ms = []
        self.began_s = time.perf_counter()

    def due(self, now_s: float) -> float:
        """Ask what should have been asked by now; when the next is due."""
        while (next_s := self.began_s + self.asked / self.rate) <= now_s:
            client = self._free.pop() if self._free else self.pool.adopt(self.hear)
            client.state, client.unread = next_s, b""
            client.send(self.request)
            self.asked += 1
        return next_s

    def hear(self, client: Client, data: memoryview, now_s: float) -> None:
        client.unread += bytes(data)
        head, end, body = client.unread.partition(END_OF_HEAD)
        if not end or len(body) < length_of(head):
            return
        self.answered += 1
        status = int(head.split(b" ", 2)[1])
        if status == 200:
            self.latencies_ms.append(1000 * (now_s - client.state))
        elif status in (429, 503):
            self.refused += 1
        else:
            raise BenchError(head.decode("latin1"))
        self._free.append(client)

    @property
    def is_answered(self) -> bool:
        return self.answered >= self.asked


def length_of(head: bytes) -> int:
    found = re.search(rb"(?i)\r\ncontent-length: (\d+)", head)
    if found is None:
        raise BenchError(head.decode("latin1"))
    return int(found[1])


def upload(
    port: int, path: str, token: str, pieces: Iterable[bytes], byte_count: int
) -> str:
    """Post one picture as a form; returns the answer's first line. Blocks."""
    before = (
        b"--" + BOUNDARY + b"\r\nContent-Disposition: form-data;"
        b' name="picture"; filename="noise.png"\r\n\r\n'
    )
    after = b"\r\n--" + BOUNDARY + b"--\r\n"
    lines = [
        f"POST {path} HTTP/1.1",
        "Host: 127.0.0.1",
        f"Content-Type: multipart/form-data; boundary={BOUNDARY.decode()}",
        f"Content-Length: {len(before) + byte_count + len(after)}",
        *_bearer(token),
    ]
    with socket.create_connection(("127.0.0.1", port)) as sock:
        sock.sendall("\r\n".join([*lines, "", ""]).encode() + before)
        for piece in pieces:
            sock.sendall(piece)
        sock.sendall(after)
        return sock.recv(4096).split(b"\r\n")[0].decode("latin1")


class LatencyProbe(threading.Thread):
    """Requests something small at a low rate and records how long each answer takes."""

    def __init__(self, port: int, path: str) -> None:
        super().__init__()
        self.address = ("127.0.0.1", port)
        self.request = get_request(path)
        self.latencies_ms: list[float] = []
        self.is_stopping = threading.Event()

    def run(self) -> None:
        with socket.create_connection(self.address) as sock:
            while not self.is_stopping.is_set():
                began_s = time.perf_counter()
                sock.sendall(self.request)
                sock.recv(65536)
                took_s = time.perf_counter() - began_s
                self.latencies_ms.append(1000 * took_s)
                self.is_stopping.wait(max(0.0, ASK_EVERY_S - took_s))

    def stop(self) -> list[float]:
        self.is_stopping.set()
        self.join()
        return self.latencies_ms
