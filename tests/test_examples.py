"""The examples of the documents do what they say, copied as they stand: only the
address, the token and the way to run.py are those of the test.
"""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.pictures import picture
from tests.served import ROOT, RUN
from tests.videos import made

PATIENCE_S = 60
DEFAULT_URL = "http://127.0.0.1:8888"


def examples(name, language):
    """The code blocks of a document in that language, in their order."""
    text = (ROOT / name).read_text()
    blocks = re.findall(rf"^ *```{language}\n(.*?)^ *```", text, re.M | re.S)
    return [re.sub(r"^   (?=\S|    )", "", block, flags=re.M) for block in blocks]


@pytest.fixture
def village(served, tmp_path):
    """A server with ada, an owner, and a room, which has the id 1."""
    served.run("users", "add", "ada", "--role", "owner")
    served.run("rooms", "add", "Lounge", "--members", "ada")
    files = {
        "sky.png": picture("PNG", 700, 400),
        "me.png": picture("PNG", 300, 300),
        "film.mp4": made("mp4"),
    }
    for name, content in files.items():
        Path(tmp_path, name).write_bytes(content)
    return served


def run(village, command, code, folder):
    code = code.replace(DEFAULT_URL, village.url)
    ran = subprocess.run(
        command,
        input=code,
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
    )
    assert ran.returncode == 0, ran.stderr
    return ran.stdout


def shell(village, code, folder):
    """What the shell prints; curl fails where the server refuses."""
    there = f"{sys.executable} {RUN} --data {village.data}"
    code = code.replace(".venv/bin/python run.py", there)
    code = code.replace("curl ", "curl -sS --fail-with-body ")
    return run(village, ["bash", "-eu"], code, folder)


def test_the_examples_of_the_api_work_one_after_the_other(village, tmp_path):
    blocks = examples("docs/api.md", "sh")
    assert len(blocks) == 6
    printed = shell(village, "\n".join(blocks), tmp_path)
    for sign in (
        '"name":"ada"',
        '"open_rooms":[]',
        "<strong>green</strong>",
        '"alt":"A sky at dusk"',
        '"avatar_url":"/avatars/',
        '"type":"video/mp4"',
    ):
        assert sign in printed


def test_a_program_speaks_as_the_readme_says(village, tmp_path):
    (block,) = [code for code in examples("README.md", "sh") if "curl" in code]
    assert '"text":"Look!"' in shell(village, block, tmp_path)


# Ends the example when it has printed what it heard and what was acked, in any order.
COUNTED = """
printed = 0


def print(*words, show=print):
    global printed
    show(*words)
    printed += 1


"""
BOTH = (
    "while printed < 2:\n        await asyncio.sleep(0.01)\n    await sio.disconnect()"
)


def test_the_python_client_of_the_protocol_works(village, tmp_path):
    (code,) = examples("docs/protocol.md", "python")
    token = village.run("users", "token", "ada").strip()
    code = code.replace('"..."', repr(token)).replace("await sio.wait()", BOTH)
    printed = run(village, [sys.executable, "-"], COUNTED + code, tmp_path)
    assert "hai!" in printed.splitlines()
    assert "'text': 'hai!'" in printed
