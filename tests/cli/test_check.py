"""`check` needs no judgement here but its own measuring: what is long, what is wide."""

import ast
from pathlib import Path

from hai.cli import check

SAMPLE = '''
from hai.core.talk import rooms, hais
from hai.errors import NotFound
import json

def short():
    """Two lines that are not counted
    as they are words."""
    return 1

def long():
    a = 1

    return a
'''


def test_a_docstring_does_not_make_a_function_long():
    found = dict(check.functions({check.ROOT / "sample.py": ast.parse(SAMPLE)}))
    assert sorted(found) == [1, 3]
    assert found[3].endswith("long")


def test_only_imports_of_hai_make_a_module_wide():
    names = {"hai.core.talk.rooms", "hai.core.talk.hais", "hai.errors"}
    assert check.imports(ast.parse(SAMPLE)) == names


def test_its_tools_are_named_and_the_scripts_are_found():
    commands = check.checks()
    assert list(commands)[:4] == ["format", "lint", "types", "layers"]
    scripts = list(Path(check.ROOT, "tests/js").glob("**/*.test.*js"))
    assert ("javascript" in commands) == bool(scripts)
