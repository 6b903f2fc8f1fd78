"""What Hai runs with is pinned, hashed, and what these tests ran with."""

import configparser
import re
from importlib import metadata
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parent.parent.parent
LOCK = (ROOT / "requirements.txt").read_text()
RUN_AGAIN = "run deploy/lock.py"


def pins():
    """Name -> exact version, of what this machine needs."""
    entries = re.findall(r"^([^#\s][^\\\n]*) \\$", LOCK, re.MULTILINE)
    found = [Requirement(entry) for entry in entries]
    here = [pin for pin in found if pin.marker is None or pin.marker.evaluate()]
    return {
        canonicalize_name(pin.name): next(iter(pin.specifier)).version for pin in here
    }


def ranges():
    setup = configparser.ConfigParser()
    setup.read(ROOT / "setup.cfg")
    lines = setup["options"]["install_requires"].splitlines()
    return [Requirement(line) for line in lines if line and not line.startswith("#")]


def needed(wanted):
    """What these need, and what that needs, as it is installed here."""
    found = set()
    rest = [canonicalize_name(requirement.name) for requirement in wanted]
    while rest:
        name = rest.pop()
        if name not in found:
            found.add(name)
            lines = metadata.requires(name) or ()
            further = [Requirement(line) for line in lines]
            rest += [
                canonicalize_name(one.name)
                for one in further
                if one.marker is None or one.marker.evaluate({"extra": ""})
            ]
    return found


def test_every_range_has_its_exact_version():
    exact = pins()
    for wanted in ranges():
        version = exact[canonicalize_name(wanted.name)]
        assert wanted.specifier.contains(version), RUN_AGAIN


def test_every_pin_has_hashes():
    entries = LOCK.replace("\\\n", " ").splitlines()
    assert all("--hash=sha256:" in line for line in entries if "==" in line)


def test_all_that_is_needed_is_pinned_and_these_tests_run_with_it():
    installed = {name: metadata.version(name) for name in needed(ranges())}
    assert installed == pins(), RUN_AGAIN
