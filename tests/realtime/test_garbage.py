"""Random and mutated input: no hang, no traceback, others are unaffected.

A log line fails the test by itself (tests/conftest.py).
"""

import asyncio
import json
import random

import pytest

from tests.realtime.raw import Raw, masked_frame

WORDS = [
    b"40", b"41", b"42", b"43", b"44", b"45", b"46", b"0", b"1", b"2", b"3", b"5", b"6",
    b'["send_hai",', b'["message"]', b'{"room_id":1}', b"[]", b"{}", b"null", b"1e999",
    b"/eliza,", b"/,", b"-", b"51-", b'{"_placeholder":true,"num":0}', b"\x1e",
    b"bAQID", b"\xff", "\u2028é".encode(), b"\\ud800", b"9" * 5000, b"[" * 2000,
    b"probe", b'"',
]  # fmt: skip
PATHS = ["/ws", "/socket.io/?EIO=4&transport=websocket"]


@pytest.fixture
def config_flags():
    return {"rate_limits": "off"}


def soup(random_):
    words = [random_.choice(WORDS) for _ in range(random_.randrange(1, 6))]
    data = bytearray(b"".join(words))
    if random_.random() < 0.3 and data:
        data[random_.randrange(len(data))] = random_.randrange(256)
    return bytes(data)


def noise(random_):
    """Mostly frames with nonsense in them, now and then no frame at all."""
    if random_.random() < 0.05:
        return random_.randbytes(random_.randrange(1, 300))
    opcode = random_.choice([1, 1, 1, 1, 2, 9, 10, 0, 8, 3])
    fin = random_.random() < 0.95
    return masked_frame(soup(random_)[:125], opcode, fin=fin)


async def open_raw(app, person, path):
    raw = await Raw.open(app.port)
    headers = {"Authorization": f"Bearer {person.token}"}
    assert await raw.upgrade(path, headers) == 101
    return raw


async def throw(raw, random_):
    """Send noise until the connection is closed, or for a while."""
    if random_.random() < 0.7:
        raw.send("40")
    for _ in range(30):
        if raw.reader.at_eof() or raw.reader.exception():
            break
        raw.write(noise(random_))
        await asyncio.sleep(0.001)
    await asyncio.sleep(0.01)
    raw.close()


async def check_polled_nonsense(client, random_):
    path = "/socket.io/?EIO=4&transport=polling"
    sid = json.loads((await client.get(path)).text[1:])["sid"]
    for _ in range(5):
        answer = await client.post(f"{path}&sid={sid}", body=soup(random_))
        assert answer.status in (200, 400)
        if answer.status == 400:
            assert (await client.get(f"{path}&sid={sid}")).status == 400
            break


async def check_noise(app, cast, client, socket, rounds, seed):
    random_ = random.Random(seed)
    grace = await socket(cast.grace)
    ada = client(cast.ada)
    for number in range(rounds):
        await throw(await open_raw(app, cast.ada, PATHS[number % 2]), random_)
        await check_polled_nonsense(ada, random_)
        if number % 10 == 0:
            await grace.settle()
    await grace.settle()
    answered = await client(cast.grace).get("/healthz")
    assert answered.status == 200


@pytest.mark.parametrize("seed", range(3))
async def test_garbage_hurts_nobody(app, cast, client, socket, seed):
    await check_noise(app, cast, client, socket, rounds=25, seed=seed)


@pytest.mark.slow
@pytest.mark.gen_test(timeout=900)
async def test_a_lot_of_garbage_hurts_nobody(app, cast, client, socket):
    await check_noise(app, cast, client, socket, rounds=10_000, seed=None)
