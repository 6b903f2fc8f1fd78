"""Killed while a film comes by tus or is sent: the upload goes on where it stopped, the
hai is whole or absent, and no bytes stay behind."""

import http.client
import json
import signal
from contextlib import suppress
from functools import partial

import pytest

from hai.storage.blobs import CHUNK_BYTES
from tests.durability.test_crashes import data, dying, is_none, is_whole, rows, soon
from tests.videos import large

__all__ = ["data", "dying"]  # fixtures of the neighbour

PIECE_BYTES = 64 * 1024


class Line:
    """One person's requests to a server, through all its lives."""

    def __init__(self, server):
        self.token = server.add_user("ada", role="owner")
        self.room = (
            f"/api/v1/rooms/{server.run('rooms', 'add', 'Lounge', '--all').strip()}"
        )
        self.server = server

    def ask(self, method, path, body=b"", **headers):
        """(status, headers, body); a body goes in pieces, so that some of it comes."""
        headers |= {"Authorization": f"Bearer {self.token}", "Tus_Resumable": "1.0.0"}
        named = {name.replace("_", "-"): str(value) for name, value in headers.items()}
        line = http.client.HTTPConnection(self.server.url.partition("//")[2])
        try:
            pieces = [
                body[at : at + PIECE_BYTES] for at in range(0, len(body), PIECE_BYTES)
            ]
            length = {"Content-Length": str(len(body))}
            line.request(method, path, iter(pieces), named | length)
            answer = line.getresponse()
            return answer.status, answer.headers, answer.read()
        finally:
            line.close()

    def begin(self, film):
        _, headers, _ = self.ask(
            "POST", f"{self.room}/uploads", Upload_Length=len(film)
        )
        return headers["Location"]

    def bring(self, address, film, at=0):
        """Returns the id of the picture that it becomes."""
        about = {"Content_Type": "application/offset+octet-stream"}
        status, headers, _ = self.ask(
            "PATCH", address, film[at:], Upload_Offset=at, **about
        )
        assert status == 204
        return int(headers["Hai-Picture"])

    def send(self, picture_id):
        order = {"text": "", "client_id": "one", "picture_ids": [picture_id]}
        return json.loads(self.order(f"{self.room}/hais", order))["hai"]

    def order(self, path, order):
        kind = {"Content_Type": "application/json"}
        status, _, answer = self.ask("POST", path, json.dumps(order).encode(), **kind)
        assert status in (200, 201), answer
        return answer

    def hais(self):
        return json.loads(self.ask("GET", f"{self.room}/hais")[2])["hais"]


def must_die(server, act, *args):
    """The line breaks, or what comes is no answer."""
    with suppress(OSError, http.client.HTTPException):
        act(*args)
    assert server.process.wait(timeout=60) == -signal.SIGKILL


def nothing_stays(folder):
    """Soon; not a row nor a byte of a picture."""
    return all(
        soon(partial(is_none, folder, f"SELECT count(*) FROM {table}"))
        for table in ("pictures", "chunks", "uploads")
    )


def stored(folder):
    """(pictures, chunks)"""
    return [
        rows(folder, f"SELECT count(*) FROM {table}")[0][0]
        for table in ("pictures", "chunks")
    ]


def killed_in_an_upload(dying, point):
    """(the Line, the address, the film) of one whose server died at that point."""
    film, server = large("mp4"), dying(point)
    line = Line(server)
    address = line.begin(film)
    must_die(server, line.bring, address, film)
    return line, address, film


UPLOAD_POINTS = {"in_upload": 2, "at_the_end_of_an_upload": 5}  # chunks that stay


@pytest.mark.parametrize("point", UPLOAD_POINTS)
def test_killed_in_an_upload_it_goes_on_where_it_stopped(data, dying, serve, point):
    line, address, film = killed_in_an_upload(dying, point)
    assert is_whole(data) is True
    line.server = serve(data=data)
    at = int(line.ask("HEAD", address)[1]["Upload-Offset"])
    assert UPLOAD_POINTS[point] <= at // CHUNK_BYTES < len(film) / CHUNK_BYTES
    picture_id = line.bring(address, film, at)
    again = line.bring(line.begin(film), film)
    shown, same = (
        line.ask("GET", f"/pictures/{one}")[2] for one in (picture_id, again)
    )
    assert shown == same and len(shown) > 5 * CHUNK_BYTES
    count = -(-len(shown) // CHUNK_BYTES)  # kept once for both
    assert soon(lambda: stored(data) == [2, count])
    assert is_whole(data) is True


@pytest.mark.parametrize("point", UPLOAD_POINTS)
def test_killed_in_an_upload_it_can_be_taken_back(data, dying, serve, point):
    line, address, _ = killed_in_an_upload(dying, point)
    line.server = serve(data=data)
    assert stored(data)[1] >= 2
    assert line.ask("DELETE", address)[0] == 204
    assert nothing_stays(data)


SEND_POINTS = {"before_a_hai_is_committed": 0, "before_a_hai_is_acked": 1}


@pytest.mark.parametrize("point", SEND_POINTS)
def test_killed_while_a_film_is_sent_it_is_whole_or_absent(data, dying, serve, point):
    film, server = large("mp4"), dying(point)
    line = Line(server)
    picture_id = line.bring(line.begin(film), film)
    must_die(server, line.send, picture_id)
    assert is_whole(data) is True
    line.server = serve(data=data)
    assert [len(hai["pictures"]) for hai in line.hais()] == [1] * SEND_POINTS[point]
    sent = line.send(picture_id)
    assert line.hais() == [sent]
    [shown] = sent["pictures"]
    assert shown["id"] == picture_id
    assert len(line.ask("GET", shown["url"])[2]) == shown["bytes"] > 5 * CHUNK_BYTES
    line.order(f"/api/v1/hais/{sent['id']}/delete", {"hai_id": sent["id"]})
    assert soon(partial(is_none, data, "SELECT count(*) FROM chunks"))
    assert soon(partial(is_none, data, "SELECT count(*) FROM pictures"))
