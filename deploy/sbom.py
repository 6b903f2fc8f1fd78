"""The bill of materials of a wheel: CycloneDX 1.6, as JSON.

It names what the wheel contains of others (the browser packages) and what Hai runs with
(requirements.txt), with versions and hashes. It is made of the two lock files alone, so
the same checkout gives the same bytes. A wheel carries it as PEP 770 says.
"""

import base64
import csv
import hashlib
import io
import json
import re
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

NAME = "hai.cdx.json"
PIN = re.compile(r"^([A-Za-z0-9._-]+)==([^ ;\\]+)")
HASH = re.compile(r"--hash=sha256:([0-9a-f]{64})")


def make(version: str, requirements: str, package_lock: str) -> bytes:
    """The document, from the texts of requirements.txt and package-lock.json."""
    hai = _component("pypi", "hai", version) | {"licenses": _licenses("MIT")}
    parts = [*python_packages(requirements), *browser_packages(package_lock)]
    document = {
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "version": 1,
        "metadata": {"component": hai | {"type": "application"}},
        "components": parts,
        "dependencies": [
            {"ref": hai["bom-ref"], "dependsOn": [part["bom-ref"] for part in parts]}
        ],
    }
    return json.dumps(document, indent=1, sort_keys=True).encode() + b"\n"


def python_packages(requirements: str) -> Iterator[dict[str, Any]]:
    """A component for each pin. Its files have a hash each; which one is installed
    depends on the machine, so they are said as properties and not as its hashes."""
    for entry in requirements.replace("\\\n", " ").splitlines():
        if pin := PIN.match(entry):
            yield _component("pypi", *pin.groups()) | {
                "properties": [
                    {"name": "hai:sha256", "value": value}
                    for value in HASH.findall(entry)
                ]
            }


def browser_packages(package_lock: str) -> Iterator[dict[str, Any]]:
    """A component for each package that reaches browsers; those for tests do not."""
    for path, package in json.loads(package_lock)["packages"].items():
        if path and not package.get("dev"):
            name = path.rpartition("node_modules/")[2]
            kind, _, value = package["integrity"].partition("-")
            digest = {
                "alg": kind.upper().replace("SHA", "SHA-"),
                "content": base64.b64decode(value).hex(),
            }
            part = _component("npm", name, package["version"]) | {"hashes": [digest]}
            if "license" in package:
                part["licenses"] = _licenses(package["license"])
            yield part


def _component(kind: str, name: str, version: str) -> dict[str, Any]:
    url = f"pkg:{kind}/{name.replace('@', '%40')}@{version}"
    return {
        "type": "library",
        "name": name,
        "version": version,
        "purl": url,
        "bom-ref": url,
    }


def _licenses(spdx_id: str) -> list[dict[str, Any]]:
    return [{"license": {"id": spdx_id}}]


def add_to_wheel(wheel: Path, content: bytes) -> None:
    """Put it into the wheel's dist-info/sboms/, and into its list of files."""
    packed = wheel.with_suffix(".new")
    with zipfile.ZipFile(wheel) as old, zipfile.ZipFile(packed, "w") as new:
        (record,) = [n for n in old.namelist() if n.endswith(".dist-info/RECORD")]
        place = record.replace("RECORD", f"sboms/{NAME}")
        for entry in old.infolist():
            if entry.filename == record:
                new.writestr(_like(entry, place), content)
                new.writestr(entry, old.read(entry) + _record_line(place, content))
            else:
                new.writestr(entry, old.read(entry))
    packed.replace(wheel)


def _like(entry: zipfile.ZipInfo, name: str) -> zipfile.ZipInfo:
    made = zipfile.ZipInfo(name, entry.date_time)
    made.compress_type, made.external_attr = entry.compress_type, entry.external_attr
    return made


def _record_line(name: str, content: bytes) -> bytes:
    digest = base64.urlsafe_b64encode(hashlib.sha256(content).digest()).rstrip(b"=")
    line = io.StringIO()
    row = (name, f"sha256={digest.decode()}", len(content))
    csv.writer(line, lineterminator="\n").writerow(row)
    return line.getvalue().encode()
