"""Many Socket.IO clients in one process: raw sockets, one epoll, no objects per event.

Whoever listens sets `on_data`: it is called with (client, bytes received, now).
"""

import errno
import gc
import math
import resource
import select
import socket
import time
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from hai.bench.load.wire import (
    CONNECT_FRAME,
    PONG_FRAME,
    handshake,
    next_frame,
)

PATH = "/socket.io/?EIO=4&transport=websocket"
AT_ONCE = 200  # connections being made: as many as a browser's restart brings
EVENTS = 64  # handled between two looks at what is due
RECEIVE_BYTES = 256 * 1024
RETRY_S = 0.05  # after a refused connection: the server is not up yet

OnData = Callable[["Client", memoryview, float], None]

_received = bytearray(RECEIVE_BYTES)
_view = memoryview(_received)


class BenchError(Exception):
    """A connection ended, or the server said what it should not."""


class Client:
    """One person's socket. `state` is the scenario's own."""

    __slots__ = ("fd", "on_data", "sock", "state", "token", "unread")

    def __init__(self, token: str) -> None:
        self.token = token
        self.sock: socket.socket
        self.fd = -1
        self.unread = b""
        self.state: Any = None
        self.on_data: OnData

    def send(self, frame: bytes) -> None:
        try:
            sent = self.sock.send(frame)
        except BlockingIOError:
            sent = 0
        except OSError as error:
            raise BenchError("the server closed a connection") from error
        if sent < len(frame):
            raise BenchError("the server does not read")

    def payloads(self, data: memoryview) -> Iterator[bytes]:
        """The payloads of whole frames, for clients that hear little."""
        buffer, at = self.unread + bytes(data), 0
        while found := next_frame(buffer, at):
            start, at = found
            yield buffer[start:at]
        self.unread = buffer[at:]


class ClientPool:
    """Connects clients, and reads for them until told to stop."""

    def __init__(self, port: int, path: str = PATH) -> None:
        self.address = ("127.0.0.1", port)
        self.path = path
        self.clients: dict[int, Client] = {}  # by file descriptor
        self.ready_count = 0
        self._epoll = select.epoll()
        self._retry: list[Client] = []
        self._on_ready: Callable[[Client], None] = _nothing

    def __enter__(self) -> "ClientPool":
        """Without the collector: nothing here is garbage before the end."""
        _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
        gc.disable()
        return self

    def __exit__(self, *_: Any) -> None:
        for client in self.clients.values():
            client.sock.close()
        self._epoll.close()
        gc.enable()
        gc.collect()

    # --- Connecting ------------------------------------------------------------------

    def connect(
        self,
        tokens: Iterable[str],
        *,
        at_once: int = AT_ONCE,
        timeout_s: float = 120.0,
        on_ready: Callable[[Client], None] | None = None,
        is_done: Callable[[], bool] | None = None,
    ) -> list[Client]:
        """Open a socket for each token, and wait until all are in the namespace.

        on_ready: what to do next with each; is_done: wait for that instead.
        """
        made = [Client(token) for token in tokens]
        waiting = iter(made)
        wanted = self.ready_count + len(made)
        began = 0
        base = self.ready_count
        self._on_ready = on_ready or _nothing
        deadline_s = time.perf_counter() + timeout_s
        is_done = is_done or (lambda: self.ready_count >= wanted)
        while not is_done():
            while began - (self.ready_count - base) - len(self._retry) < at_once and (
                client := next(waiting, None)
            ):
                began += 1
                self._begin(client)
            self._poll(RETRY_S if self._retry else 1.0)
            retry, self._retry = self._retry, []
            for client in retry:
                self._begin(client)
            if time.perf_counter() > deadline_s:
                raise BenchError(f"{self.ready_count} of {wanted} sockets are open")
        return made

    def _begin(self, client: Client) -> None:
        client.sock = socket.socket()
        client.sock.setblocking(False)
        client.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        client.fd = client.sock.fileno()
        client.on_data = self._on_handshake
        client.unread = b""
        client.sock.connect_ex(self.address)
        self.clients[client.fd] = client
        self._epoll.register(client.fd, select.EPOLLOUT)

    def _connected(self, client: Client) -> None:
        error = client.sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        if error in (errno.ECONNREFUSED, errno.ECONNRESET):
            self._again(client)
        elif error:
            raise BenchError(errno.errorcode[error])
        else:
            self._epoll.modify(client.fd, select.EPOLLIN)
            client.send(handshake(self.path, client.token))

    def _again(self, client: Client) -> None:
        del self.clients[client.fd]
        self._epoll.unregister(client.fd)
        client.sock.close()
        self._retry.append(client)

    def _on_handshake(self, client: Client, data: memoryview, now_s: float) -> None:
        """101, then OPEN, which is answered with CONNECT, then its answer."""
        client.unread += bytes(data)
        if client.unread.startswith(b"HTTP"):
            head, end, rest = client.unread.partition(b"\r\n\r\n")
            if not end:
                return
            if b" 101 " not in head[:16]:
                raise BenchError(head.decode("latin1").split("\r\n")[0])
            client.unread = rest
        for payload in client.payloads(memoryview(b"")):
            if payload.startswith(b"0"):
                client.send(CONNECT_FRAME)
            elif payload.startswith(b"40"):
                self._is_ready(client)

    def _is_ready(self, client: Client) -> None:
        self.ready_count += 1
        client.on_data = ignore
        self._on_ready(client)

    def adopt(self, on_data: OnData) -> Client:
        """A plain connection, for whoever speaks another protocol on it."""
        client = Client("")
        client.sock = socket.create_connection(self.address)
        client.sock.setblocking(False)
        client.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        client.fd = client.sock.fileno()
        client.on_data = on_data
        self.clients[client.fd] = client
        self._epoll.register(client.fd, select.EPOLLIN)
        return client

    # --- Reading ---------------------------------------------------------------------

    def run(
        self,
        until_s: float,
        *,
        due: "Callable[[float], float] | None" = None,
        is_done: Callable[[], bool] = lambda: False,
    ) -> None:
        """Read until then. due(now) sends what is due, and says when it is next."""
        next_s = 0.0 if due else math.inf
        while (now_s := time.perf_counter()) < until_s and not is_done():
            if due and now_s >= next_s:
                next_s = due(now_s)
            self._poll(min(next_s, until_s) - time.perf_counter())

    def _poll(self, timeout_s: float) -> None:
        for fd, events in self._epoll.poll(max(0.0, min(timeout_s, 0.1)), EVENTS):
            client = self.clients[fd]
            if events & select.EPOLLOUT:  # asked for only while connecting
                self._connected(client)
                continue
            try:
                size = client.sock.recv_into(_received)
            except BlockingIOError:
                continue
            except ConnectionResetError:
                size = 0
            if not size:
                self._lost(client)
            else:
                client.on_data(client, _view[:size], time.perf_counter())

    def _lost(self, client: Client) -> None:
        if client.on_data == self._on_handshake:
            self._again(client)
        else:
            raise BenchError("the server closed a connection")


def ignore(client: Client, data: memoryview, now_s: float) -> None:
    """Answer pings, and listen to nothing else."""
    for payload in client.payloads(data):
        if payload == b"2":
            client.send(PONG_FRAME)


def _nothing(client: Client) -> None:
    pass
