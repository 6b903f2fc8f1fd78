"""The package build: what is pinned, what is fetched, what a wheel holds."""

import json
import re
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent.parent
SOURCES = ("deploy", "hai", "static", "templates", "README.md", "pyproject.toml")
PACKAGES = ("package.json", "package-lock.json")


def test_browser_packages_are_pinned_exactly():
    wanted = json.loads((ROOT / "package.json").read_text())
    pins = wanted["dependencies"] | wanted["devDependencies"]
    assert all(re.fullmatch(r"\d+\.\d+\.\d+", pin) for pin in pins.values())


def test_the_lock_checks_content_and_names_no_registry():
    text = (ROOT / "package-lock.json").read_text()
    packages = json.loads(text)["packages"]
    assert "resolved" not in text
    assert all("integrity" in package for name, package in packages.items() if name)


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    """A wheel built from a copy of the checkout, as a set of names and its bytes."""
    folder = tmp_path_factory.mktemp("checkout")
    for name in (*SOURCES, *PACKAGES, "setup.cfg"):
        copy = shutil.copytree if (ROOT / name).is_dir() else shutil.copy
        copy(ROOT / name, folder / name)
    (folder / "build/lib/hai").mkdir(parents=True)
    (folder / "build/lib/hai/deleted_long_ago.py").touch()
    command = [sys.executable, "-m", "pip", "wheel", "-q", "--no-deps"]
    subprocess.run([*command, "--no-build-isolation", "."], cwd=folder, check=True)
    with zipfile.ZipFile(next(folder.glob("*.whl"))) as found:
        yield found


def test_a_wheel_holds_all_modules_templates_and_static_files(wheel):
    wanted = {
        str(path.relative_to(ROOT))
        for folder in ("hai", "templates", "static")
        for path in (ROOT / folder).rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    wanted = {name if name[:4] == "hai/" else f"hai/{name}" for name in wanted}
    assert wanted - set(wheel.namelist()) == set()


def test_a_wheel_holds_the_browser_packages_with_their_licences(wheel):
    names = set(wheel.namelist())
    for package in ("dropzone", "socket.io-client"):
        found = {name for name in names if f"static/vendor/{package}/" in name}
        assert len(found) == 2
        assert any(name.endswith("LICENSE") for name in found)


def test_a_wheel_holds_nothing_that_was_deleted(wheel):
    assert not [name for name in wheel.namelist() if "deleted_long_ago" in name]
