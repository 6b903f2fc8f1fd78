"""The package build: what is pinned, what is fetched, what a wheel holds."""

import base64
import csv
import hashlib
import io
import json
import re
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from hai import __version__

ROOT = Path(__file__).resolve().parent.parent.parent
SOURCES = ("deploy", "docs", "hai", "static", "templates", "tests", "run.py")
TEXTS = ("README.md", "LICENSE", "CHANGELOG.md", "CONTRIBUTING.md", "SECURITY.md")
METADATA = ("pyproject.toml", "setup.cfg", "MANIFEST.in", ".editorconfig")
PACKAGES = ("package.json", "package-lock.json", "requirements.txt")
BUILD_SDIST = """
import sys
sys.path.insert(0, "deploy")
import build_backend
build_backend.build_sdist(".")
"""


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
def checkout(tmp_path_factory):
    """A copy of the checkout, with what an earlier build may have left in it."""
    folder = tmp_path_factory.mktemp("checkout")
    for name in (*SOURCES, *TEXTS, *METADATA, *PACKAGES):
        copy = shutil.copytree if (ROOT / name).is_dir() else shutil.copy
        copy(ROOT / name, folder / name)
    (folder / "build/lib/hai").mkdir(parents=True)
    (folder / "build/lib/hai/deleted_long_ago.py").touch()
    return folder


def build_wheel(folder):
    command = [sys.executable, "-m", "pip", "wheel", "-q", "--no-deps"]
    subprocess.run([*command, "--no-build-isolation", "."], cwd=folder, check=True)
    return next(folder.glob("*.whl"))


@pytest.fixture(scope="module")
def wheel(checkout):
    """A wheel, open for reading."""
    with zipfile.ZipFile(build_wheel(checkout)) as found:
        yield found


@pytest.fixture(scope="module")
def sdist(checkout, tmp_path_factory):
    """The folder that a source distribution unpacks to."""
    command = [sys.executable, "-c", BUILD_SDIST]
    subprocess.run(command, cwd=checkout, check=True, stdout=subprocess.DEVNULL)
    target = tmp_path_factory.mktemp("sdist")
    shutil.unpack_archive(next(checkout.glob("*.tar.gz")), target, filter="data")
    return next(target.iterdir())


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


def test_a_wheel_says_what_it_is_made_of(wheel):
    (name,) = [name for name in wheel.namelist() if "/sboms/" in name]
    bill = json.loads(wheel.read(name))
    assert (bill["bomFormat"], bill["specVersion"]) == ("CycloneDX", "1.6")
    assert bill["metadata"]["component"]["version"] == __version__
    parts = {part["purl"]: part for part in bill["components"]}
    assert any(purl.startswith("pkg:pypi/tornado@") for purl in parts)
    package = json.loads((ROOT / "package.json").read_text())
    for name, version in package["dependencies"].items():
        part = parts[f"pkg:npm/{name}@{version}"]
        assert part["hashes"][0]["alg"] == "SHA-512"
    assert not [purl for purl in parts if "biome" in purl]


def test_the_list_of_a_wheels_files_is_right(wheel):
    (record,) = [name for name in wheel.namelist() if name.endswith("/RECORD")]
    rows = {
        row[0]: row[1:] for row in csv.reader(io.StringIO(wheel.read(record).decode()))
    }
    assert rows.keys() == set(wheel.namelist())
    for name, (digest, size) in rows.items():
        if name != record:
            content = wheel.read(name)
            said = base64.urlsafe_b64encode(hashlib.sha256(content).digest())
            assert digest == "sha256=" + said.decode().rstrip("=")
            assert int(size) == len(content)


def test_a_wheel_says_whose_it_is_and_under_which_licence(wheel):
    (name,) = [name for name in wheel.namelist() if name.endswith("/METADATA")]
    said = wheel.read(name).decode()
    for line in (
        f"Version: {__version__}",
        "Author: the Hai authors",
        "License: MIT",
        "License-File: LICENSE",
        "Requires-Python: >=3.11",
    ):
        assert line in said.splitlines()
    (licence,) = [
        n for n in wheel.namelist() if n.endswith(".dist-info/licenses/LICENSE")
    ]
    assert wheel.read(licence) == (ROOT / "LICENSE").read_bytes()


def test_a_wheel_holds_no_documents(wheel):
    assert not [name for name in wheel.namelist() if "docs/" in name]


def test_a_source_distribution_holds_the_project(sdist):
    names = (*SOURCES, *TEXTS, *PACKAGES, "pyproject.toml", "setup.cfg")
    assert [name for name in names if not (sdist / name).exists()] == []
    assert (sdist / "docs/images/phone.webp").is_file()
    assert not list(sdist.rglob("*.pyc"))


def test_a_wheel_can_be_built_from_a_source_distribution(sdist, wheel):
    with zipfile.ZipFile(build_wheel(sdist)) as again:
        assert set(again.namelist()) == set(wheel.namelist())
