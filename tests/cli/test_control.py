"""The control socket: one JSON line in, one out, and nothing crashes it."""

import json
import socket
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

import pytest

from hai.cli import control
from hai.config import load
from hai.errors import Busy


def say(folder, line):
    """Send a line to the folder's server and return its answer."""
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(60)
        connection.connect(str(folder / "hai.sock"))
        connection.sendall(line)
        connection.shutdown(socket.SHUT_WR)
        with connection.makefile("rb") as answers:
            return json.loads(answers.readline())


NONSENSE = (
    b"\n",
    b"hello\n",
    b"[]\n",
    b"\xff\xfe\n",
    b'{"action": "rm", "arguments": {}}\n',
    b'{"action": "users list"}\n',
    b'{"action": ["users list"], "arguments": {}}\n',
    b'{"action": "users list", "arguments": {"kind": "person"}',
    b'{"action": "users list", "arguments": {"colour": "red"}}\n',
)


def test_nonsense_is_refused_and_the_server_goes_on(served):
    for line in NONSENSE:
        assert say(served.data, line)["error"]["code"] == "bad_request", line
    good = b'{"action": "users list", "arguments": {"kind": "person"}}\n'
    assert say(served.data, good) == {"result": []}
    assert "Traceback" not in served.log


def test_many_commands_at_once_all_take_effect(served):
    with_names = [f"person{number}" for number in range(20)]
    connections = []
    for name in with_names:
        connection = socket.socket(socket.AF_UNIX)
        connection.connect(str(served.data / "hai.sock"))
        given = {"name": name, "role": "member", "password": None}
        order = {"action": "users add", "arguments": given}
        connection.sendall(json.dumps(order).encode() + b"\n")
        connections.append(connection)
    for connection in connections:
        with connection, connection.makefile() as answers:
            assert "result" in json.loads(answers.readline())
    listed = served.run("users", "list").splitlines()
    assert sorted(line.split()[0] for line in listed) == sorted(with_names)


def test_a_command_is_told_in_words_that_no_answer_came(tmp_path, monkeypatch):
    """A backup or a seeding may take hours: only for those is there no limit."""
    monkeypatch.setattr(control, "ANSWER_S", 0.05)
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(str(tmp_path / "hai.sock"))
    listener.listen()
    config = load({"data": str(tmp_path)}, {})
    with pytest.raises(Busy, match="did not answer"):
        control.perform(config, {}, "users list")
    long = ThreadPoolExecutor(1).submit(control.perform, config, {}, "backup")
    answer_late(listener)  # the command that gave up
    answer_late(listener, after_s=0.2)
    assert long.result(timeout=60) == "done"
    listener.close()


def answer_late(listener, after_s=0.0):
    connection, _ = listener.accept()
    with connection, suppress(BrokenPipeError):
        connection.recv(1000)
        time.sleep(after_s)
        connection.sendall(b'{"result": "done"}\n')


def test_a_server_that_dies_meanwhile_is_told_in_words(tmp_path):
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(str(tmp_path / "hai.sock"))
    listener.listen()
    config = load({"data": str(tmp_path)}, {})
    waiting = ThreadPoolExecutor(1).submit(control.perform, config, {}, "backup")
    listener.accept()[0].close()
    with pytest.raises(Busy, match="stopped before it answered"):
        waiting.result(timeout=60)
    listener.close()
