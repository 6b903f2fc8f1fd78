"""Sockets hold all descriptors: the operator is answered still."""

import base64
import os
import socket
import time
from contextlib import ExitStack
from urllib.error import HTTPError
from urllib.request import urlopen

import pytest

from tests.served import Served

DESCRIPTORS = 200
PATIENCE_S = 60


@pytest.fixture
def served(tmp_path):
    served = Served(tmp_path / "data", "--rate-limits", "off")
    served.wrapper = ["prlimit", f"--nofile={DESCRIPTORS}:{DESCRIPTORS}"]
    yield served
    assert served.stop() == 0
    assert "Traceback" not in served.log


def open_ws(port, token):
    """A live socket, or None where there is no room for it."""
    sock = socket.create_connection(("127.0.0.1", port), timeout=PATIENCE_S)
    key = base64.b64encode(os.urandom(16)).decode()
    head = (
        f"GET /ws HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nUpgrade: websocket\r\n"
        f"Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {key}"
        f"\r\nAuthorization: Bearer {token}\r\n\r\n"
    )
    sock.sendall(head.encode())
    if sock.recv(12) == b"HTTP/1.1 101":
        return sock
    sock.close()
    return None


def status_of(url):
    try:
        with urlopen(url, timeout=PATIENCE_S) as answer:
            return answer.status
    except HTTPError as error:
        return error.code


def test_when_sockets_hold_all_descriptors_the_operator_is_answered(served):
    token = served.add_user("ada", "owner")
    served.start()
    port = int(served.url.rpartition(":")[2])
    with ExitStack() as sockets:
        until = time.monotonic() + PATIENCE_S
        while status_of(f"{served.url}/sign_in") != 503:  # one more was free by then
            assert time.monotonic() < until
            while one := open_ws(port, token):
                sockets.enter_context(one)
        assert status_of(f"{served.url}/healthz") == 200
        assert status_of(f"{served.url}/metrics") == 200
        assert "ada" in served.run("users", "list")
        assert "no more file descriptors" in served.log
    until = time.monotonic() + PATIENCE_S
    while status_of(f"{served.url}/sign_in") != 200:
        assert time.monotonic() < until
        time.sleep(0.1)
