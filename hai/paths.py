"""Where Hai itself is on the disk."""

from pathlib import Path

# What holds the package: a child process that we start finds it there.
ROOT = Path(__file__).resolve().parents[1]
