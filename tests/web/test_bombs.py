"""Pictures that are meant to hurt, sent to a served Hai as anybody could: each is
answered, and the server is no larger and no slower to talk to afterwards."""

import json
import time
from pathlib import Path
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import pytest

from tests.core.pictures.test_thumbnails import a_picture, bomb, png_of
from tests.core.pictures.test_videos import FRAGMENTED, tiny_fragment
from tests.core.pictures.test_videos import HOSTILE as FILMS
from tests.pictures import picture

ROOM_BYTES = 20 * 1000 * 1000  # what all of them together may cost the server
ANSWER_S = 120  # gives up, so that a hang is a failure; the report says what it took


def sixty_thousand_frames():
    one = a_picture("GIF")
    at = one.index(b",")
    return one[:at] + one[at:-1] + b",\0\0\0\0\1\0\1\0\0\2\2D\1\0" * 60_000 + b";"


def gif_of_65535():
    data = bytearray(picture("GIF"))
    data[6:10] = b"\xff" * 4
    return bytes(data)


# What is sent, and the answers that are as they should be.
HOSTILE = {
    "a bomb of 89 megapixels": (bomb, {201}),
    "65,535 pixels wide": (lambda: png_of(65_535, 1_300), {201}),
    "65,535 pixels each way": (lambda: png_of(65_535, 65_535), {201}),
    "a GIF of 65,535 pixels each way": (gif_of_65535, {201}),
    "60,000 frames": (sixty_thousand_frames, {415}),
    "no pixels": (lambda: png_of(900, 900), {201}),
    "a JPEG cut short": (lambda: a_picture()[:3000], {422}),
    "a PNG cut short": (lambda: a_picture("PNG")[:-20], {422}),
    "a WebP cut short": (lambda: a_picture("WEBP")[:-20], {422}),
    "a GIF cut short": (lambda: a_picture("GIF")[:-20], {422}),
    "100,000 empty segments": (
        lambda: b"\xff\xd8" + b"\xff\xfe\x00\x02" * 100_000 + picture("JPEG")[2:],
        {415},
    ),
    "15,000 videos in a WebM's video": (lambda: FILMS["videos in videos"], {415}),
    "a film in 250,000 pieces": (
        lambda: FRAGMENTED + tiny_fragment(16) * 64_000,
        {415},
    ),
}


@pytest.fixture
def ada(served):
    token = served.add_user("ada", "owner")
    served.run("rooms", "add", "Lounge", "--members", "ada")
    return {"Authorization": f"Bearer {token}"}


def upload(served, headers, data):
    """Returns (status, picture ids)."""
    head = b'--sea\r\nContent-Disposition: form-data; name="picture"; filename="a"'
    body = head + b"\r\n\r\n" + data + b"\r\n--sea--\r\n"
    kind = {"Content-Type": "multipart/form-data; boundary=sea"}
    address = f"{served.url}/api/v1/rooms/1/pictures"
    try:
        with urlopen(
            Request(address, body, headers | kind), timeout=ANSWER_S
        ) as answer:
            found = json.load(answer)["pictures"]
            return answer.status, [one["id"] for one in found]
    except HTTPError as error:
        with error:
            error.read()
        return error.code, []


def wait_for_thumbnail(served, headers, width):
    """Pictures are looked at one after the other: this one, of a width that none had
    before, comes last."""
    _, [last] = upload(served, headers, a_picture(width=width))
    address = f"{served.url}/pictures/{last}?size=thumbnail"
    while True:
        try:
            with urlopen(Request(address, headers=headers), timeout=ANSWER_S) as answer:
                return answer.read()
        except HTTPError as error:
            error.close()
            time.sleep(0.05)


def peak_bytes(served):
    """The most memory that the server has had."""
    status = Path(f"/proc/{served.process.pid}/status").read_text()
    return int(status.split("VmHWM:")[1].split()[0]) * 1024


def test_hostile_pictures_are_answered_and_cost_little(served, ada):
    wait_for_thumbnail(served, ada, 901)  # all that is loaded late is loaded
    before = peak_bytes(served)
    for name, (make, expected) in HOSTILE.items():
        data = make()
        began = time.perf_counter()
        status, _ = upload(served, ada, data)
        took_ms = 1000 * (time.perf_counter() - began)
        print(f"{name}: {len(data):,} bytes, {status} after {took_ms:.0f} ms")
        assert status in expected, name
    began = time.perf_counter()
    wait_for_thumbnail(served, ada, 902)
    grown = peak_bytes(served) - before
    print(f"all looked at {time.perf_counter() - began:.1f} s later")
    print(f"the server grew by {grown / 1e6:.1f} MB at most")
    assert grown < ROOM_BYTES
    assert "Traceback" not in served.log
