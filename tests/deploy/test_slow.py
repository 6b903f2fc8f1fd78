"""slowhttptest in its four modes, from one address: others are served meanwhile."""

import shutil
import subprocess
import time
from urllib.request import urlopen

import pytest

from tests.served import Served

SLOW = shutil.which("slowhttptest")
DESCRIPTORS = 256
PATIENCE_S = 60  # a safety net: nothing here waits for it
# Of heads that are not whole one address has a share, however many it sends. What comes
# after a whole head is bounded by time alone: there are descriptors left.
MODES = {
    "heads that do not end": ("-H", "-c", "600"),
    "bodies that do not end": ("-B", "-c", "120", "-s", "9000"),
    "many ranges": ("-R", "-c", "600"),
    "answers that are hardly read": ("-X", "-c", "120", "-w", "1", "-y", "64"),
}

pytestmark = pytest.mark.skipif(not SLOW, reason="slowhttptest is not installed")


@pytest.fixture
def served(tmp_path):
    served = Served(tmp_path / "data")
    served.wrapper = ["prlimit", f"--nofile={DESCRIPTORS}:{DESCRIPTORS}"]
    served.add_user("ada", "owner")
    served.start()
    yield served
    assert served.stop() == 0
    assert "Traceback" not in served.log


def assert_answered_beside(served, mode, seconds):
    """Ask for something again and again while it attacks for as long as it may."""
    where = ("-u", f"{served.url}/sign_in", "-r", "300", "-i", "1", "-l", "3600")
    command = [SLOW, *MODES[mode], *where]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL) as attacker:
        try:
            for _ in range(5 * seconds):
                with urlopen(f"{served.url}/healthz", timeout=PATIENCE_S) as answer:
                    assert answer.status == 200
                time.sleep(0.2)
        finally:
            attacker.kill()


@pytest.mark.parametrize("mode", MODES)
def test_slow_clients_keep_nobody_out(served, mode):
    assert_answered_beside(served, mode, 4)


@pytest.mark.slow
@pytest.mark.parametrize("mode", MODES)
def test_slow_clients_keep_nobody_out_for_a_minute(served, mode):
    """Longer than a first head and a body may take."""
    assert_answered_beside(served, mode, 60)
