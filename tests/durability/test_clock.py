"""The clock jumps an hour either way, and nothing that was promised changes."""

import sqlite3
import sys
import time
from contextlib import closing
from pathlib import Path

import pytest

from tests.durability import swarm
from tests.durability.stage import Stage
from tests.durability.swarm import Http, NativeClient, upload
from tests.pictures import big_png

HOUR_MS = 3_600_000
SKEWED = Path(__file__).with_name("skewed.py")


class Skewed(Stage):
    """A stage whose server has a clock that can be put."""

    def __init__(self, folder):
        super().__init__(folder, people=2)
        self.offset = Path(folder) / "offset"
        self.put_clock(0)
        self.served.program = [sys.executable, str(SKEWED), str(self.offset)]

    def put_clock(self, offset_ms):
        new = self.offset.with_suffix(".new")
        new.write_text(str(offset_ms))
        new.rename(self.offset)


@pytest.fixture
def stage(tmp_path):
    stage = Skewed(tmp_path).set_up()
    yield stage
    stage.kill()


class Scene:
    """Ada writes, grace listens, and has a picture that she has not sent yet."""

    def __init__(self, stage):
        self.stage = stage
        self.heard = []

    def play(self, *acts):
        async def all_of_it():
            port, (ada, grace) = self.stage.port, self.stage.tokens
            self.ada = await NativeClient(port, ada).start()
            self.grace = await NativeClient(port, grace, self.hear).start()
            self.http = Http(port, grace)
            for act in acts:
                await act()
            assert not self.ada.closed.is_set() and not self.grace.closed.is_set()
            self.http.close()
            await self.ada.stop()
            await self.grace.stop()

        swarm.run(all_of_it())

    def hear(self, name, payload):
        if name == "hai_sent":
            self.heard.append(payload["hai"]["text"])

    async def send(self, client, text, **more):
        order = {"room_id": self.stage.room_id, "text": text, "client_id": text}
        return (await client.order("send_hai", order | more))["hai"]

    async def begin(self):
        self.before = await self.send(self.ada, "before")
        data = big_png(50_000)
        self.draft = await upload(self.http, self.stage.room_id, "p.png", data)

    async def check_new_hais(self):
        self.after = await self.send(self.ada, "after")
        assert self.after["id"] > self.before["id"]
        assert await self.send(self.grace, "heard")
        assert self.heard == ["before", "after", "heard"]

    async def check_catch_up(self):
        assert await self.http.ask("GET", "/api/v1/me")
        since = {"since_rev": self.before["rev"]}
        changes = await self.grace.order("get_changes", since)
        assert [hai["text"] for hai in changes["hais"]] == ["after", "heard"]
        assert (await self.send(self.ada, "after"))["id"] == self.after["id"]

    async def check_old_upload(self):
        ids = [self.draft["id"]]
        hai = await self.send(self.grace, "at last", picture_ids=ids)
        assert hai["id"] > self.after["id"]
        assert len(await self.http.ask("GET", self.draft["url"])) >= 50_000


@pytest.mark.parametrize("jump_ms", [HOUR_MS, -HOUR_MS])
def test_the_clock_jumps(stage, jump_ms):
    """Nobody is signed out or dropped, hais stay in order, catching up is whole, a
    send that is tried again is known, and no draft's picture is swept away: at once,
    after a restart, and when the clock has been put right again."""

    async def jump():
        stage.put_clock(jump_ms)

    scene = Scene(stage)
    scene.play(scene.begin, jump, scene.check_new_hais, scene.check_catch_up)
    difference_ms = scene.after["sent_at"] - scene.before["sent_at"]
    assert abs(difference_ms - jump_ms) < HOUR_MS / 2  # the test can fail
    stage.stop()
    stage.start()  # it sweeps what is too old, by the wrong clock
    scene.play(scene.check_catch_up)
    stage.kill()
    stage.put_clock(0)
    stage.start()
    scene.play(scene.check_catch_up, scene.check_old_upload)
    assert stage.stop() == 0
    query = "SELECT client_id FROM hais ORDER BY id"
    with closing(sqlite3.connect(stage.database)) as db:
        stored = [row[0] for row in db.execute(query)]
    assert stored == ["before", "after", "heard", "at last"]
    assert "no problems" in stage.served.run("verify")


def test_what_was_never_sent_is_swept_by_the_clock(stage):
    """A day after: the twin of what the hour must not do."""

    async def draft():
        http = Http(stage.port, stage.tokens[1])
        await upload(http, stage.room_id, "p.png", big_png(50_000))
        http.close()

    swarm.run(draft())
    stage.stop()
    stage.put_clock(25 * HOUR_MS)
    stage.start()
    deadline = time.monotonic() + 60
    while pictures(stage) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert pictures(stage) == 0


def pictures(stage):
    with closing(sqlite3.connect(stage.database)) as db:
        return db.execute("SELECT count(*) FROM pictures").fetchone()[0]
