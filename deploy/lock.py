"""Writes requirements.txt: every Python package that Hai runs with, version and hashes.

    .venv/bin/pip install -e '.[release]' && .venv/bin/python deploy/lock.py

From the ranges of setup.cfg, for every Python and machine that Hai runs on. Versions
that stand there already stay as long as they fit; `--upgrade` takes the newest instead.
"""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
REQUIREMENTS = ROOT / "requirements.txt"
HEAD = """\
# What Hai runs with, exactly; made by deploy/lock.py from the ranges in setup.cfg.
"""
COMMAND = ("uv", "pip", "compile", "setup.cfg", "--universal", "--generate-hashes")
OPTIONS = ("--python-version", "3.11", "--no-header", "--no-annotate", "--quiet")


def lock(*flags: str) -> None:
    """Raises CalledProcessError when the ranges cannot be met."""
    output = ("--output-file", REQUIREMENTS.name)
    command = [sys.executable, "-m", *COMMAND, *OPTIONS, *output, *flags]
    subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.DEVNULL)
    REQUIREMENTS.write_text(HEAD + REQUIREMENTS.read_text())


if __name__ == "__main__":
    lock(*sys.argv[1:])
