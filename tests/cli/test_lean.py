"""What Hai does not use is not loaded, also where it is installed."""

import subprocess
import sys

from tests.served import ROOT

PROGRAM = """
import sys
import hai.cli
from hai.cli.lean import UNUSED
assert not [name for name in UNUSED if name in sys.modules]
import aiohttp  # of the test extra: it is there for whoever asks afterwards
"""


def test_the_commands_do_without_libraries_that_only_others_ask_for():
    subprocess.run([sys.executable, "-c", PROGRAM], cwd=ROOT, check=True)


def test_they_would_be_loaded_otherwise():
    """Else there would be nothing to keep out any more."""
    program = "import sys, hai.app; assert 'aiohttp' in sys.modules"
    subprocess.run([sys.executable, "-c", program], cwd=ROOT, check=True)
