"""`run.py bench`: measure this machine's Hai under load.

Each scenario makes a community of its own in a folder beside the data folder (so that
the same disk is measured), serves it on one core and loads it from another. Nothing
of the data folder itself is touched.
"""

import argparse
import json
import math
import os
import platform
import tempfile
from collections.abc import Callable
from dataclasses import asdict
from importlib import metadata
from pathlib import Path
from typing import Any

from hai import __version__
from hai.bench import fairness, fanout, idle, pages, pictures, posts, storm, upload
from hai.bench.bench import Bench
from hai.bench.processes import Cores, choose_cores, pinned
from hai.bench.results import Figure, table
from hai.config import Config
from hai.storage.database import SQLITE_VERSION

SCENARIOS: dict[str, Callable[[Bench], list[Figure]]] = {
    "fanout": fanout.run,
    "posts": posts.run,
    "pages": pages.run,
    "idle": idle.run,
    "storm": storm.run,
    "fairness": fairness.run,
    "pictures": pictures.run,
    "upload": upload.run,
}
SECONDS = 5.0
LIBRARIES = ("tornado", "python-socketio", "python-engineio", "peewee")


def configure(add: Any, name: str) -> None:
    parser = add(name, "measure speed and memory under load, on this machine")
    parser.add_argument(
        "scenario", nargs="?", default="all", choices=[*SCENARIOS, "all"]
    )
    parser.add_argument("--seconds", type=float, default=SECONDS, metavar="N")
    parser.add_argument("--json", metavar="FILE", help="write the figures there, too")
    parser.add_argument(
        "--stock",
        action="store_true",
        help="measure plain python-socketio and Tornado beside it",
    )
    parser.set_defaults(run=run)


def run(config: Config, arguments: argparse.Namespace) -> int:
    names = list(SCENARIOS) if arguments.scenario == "all" else [arguments.scenario]
    cores = choose_cores()
    print(f"{cores.words}; load of the machine {os.getloadavg()[0]:.2f}")
    figures: list[Figure] = []
    parent = config.data.absolute().parent
    parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="hai-bench-", dir=parent) as folder:
        bench = Bench(Path(folder), cores, arguments.seconds, arguments.stock, _say)
        for name in names:
            print(f"{name} ...", flush=True)
            with pinned(cores.generator):
                figures += SCENARIOS[name](bench)
    print(table(figures))
    if arguments.json:
        report = _report(figures, cores, arguments.seconds)
        Path(arguments.json).write_text(json.dumps(report, indent=1) + "\n")
    return 0


def _say(line: str) -> None:
    print(f"  {line}", flush=True)


def _report(figures: list[Figure], cores: Cores, seconds: float) -> dict[str, object]:
    """The figures, and all that one must know to compare them with others."""
    return {
        "hai": __version__,
        "python": platform.python_version(),
        "sqlite": SQLITE_VERSION,
        "libraries": {name: metadata.version(name) for name in LIBRARIES},
        "machine": platform.machine(),
        "cpu": _cpu_model(),
        "kernel": platform.release(),
        "cores": asdict(cores),
        "seconds": seconds,
        "load": os.getloadavg(),
        "figures": [_row(figure) for figure in figures],
    }


def _row(figure: Figure) -> dict[str, object]:
    row = asdict(figure) | {"is_reached": figure.is_reached}
    return row | {"value": None} if math.isnan(figure.value) else row


def _cpu_model() -> str:
    """As the kernel names it; ARM boards say nothing there."""
    with open("/proc/cpuinfo") as lines:
        models = [
            line.partition(":")[2].strip() for line in lines if "model name" in line
        ]
    return models[0] if models else platform.processor()
