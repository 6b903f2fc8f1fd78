"""Imports point down only; each heavy library is named in one place.

The levels and the lists below are the architecture. Changing them is a decision.
"""

import ast
import configparser
import re
import sys
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent

LEVELS = {  # part of hai -> level; every other module at the top is on level 0
    "storage": 1,
    "core": 2,
    "realtime": 3,
    "web": 3,
    "bots": 3,
    "app": 4,
    "bench": 4,
    "cli": 4,
}
EDGES = {part for part, level in LEVELS.items() if level == 3}

ALLOWED = {  # library -> where it may be imported, as patterns of module names
    "peewee": r"hai\.storage\b",
    "playhouse": r"hai\.storage\b",
    "sqlite3": r"hai\.(storage\b|bench\.stock_pictures$)",
    "socketio": r"hai\.(realtime\b|bench\.stock$)",
    "engineio": r"hai\.realtime\b",
    "bidict": r"hai\.realtime\b",  # what python-socketio's manager is made of
    "tornado": r"hai\.((web|realtime|app)\b|bench\.(peers\.)?stock(_p\w+)?$)",
    "multipart": r"hai\.(web|core)\b",
    "nltk": r"hai\.bots\.eliza$",
    "PIL": r"hai\.core\.pictures\.thumbnails$",
    "argon2": r"hai\.core\.identity\.passwords$",
    "fido2": r"hai\.core\.identity\.passkeys$",
    "joserfc": r"hai\.core\.identity\.oidc$",
    "markdown_it": r"hai\.core\.talk\.formatting$",
    "segno": r"hai\.web\.views\.qr$",
    "uvloop": r"hai\.cli\.serve$",
}

# Too heavy to import before they are needed: loaded by importlib in the one file above.
LATE = {"nltk", "PIL", "argon2", "fido2", "joserfc", "markdown_it", "segno", "uvloop"}

# Wings of a folder, the lower ones first: each imports those before it only.
# "" is the files of the folder itself that the wings build on; what stands above them
# all is listed.
WINGS = {
    "hai.core": ["", "identity", "talk", "people", "pictures"],
    "hai.bench": ["load", "peers", ""],
    "hai.realtime": ["wire", ""],
    "hai.storage": ["sqlite", "", "identity"],
    "hai.web": ["views", "http", "sign_in", "account", ""],
}
ABOVE_WINGS = {"hai.core.orders"}
MAX_FILES = 20  # in one folder; more of them have become a wing


@cache
def modules():
    """Return every module of the package: name -> syntax tree."""
    trees = {}
    for path in sorted((ROOT / "hai").rglob("*.py")):
        name = ".".join(path.relative_to(ROOT).with_suffix("").parts)
        trees[name.removesuffix(".__init__")] = ast.parse(path.read_text(), str(path))
    return trees


def imports_of(name):
    """Yield (line, module) for each import statement anywhere in a module.

    `from hai.core import rooms` counts as hai.core.talk.rooms.
    """
    for node in ast.walk(modules()[name]):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            for alias in node.names:
                whole = f"{node.module}.{alias.name}"
                yield node.lineno, whole if whole in modules() else node.module


def named_late(name):
    """Yield the modules that are loaded by importlib with a literal name."""
    for node in ast.walk(modules()[name]):
        if isinstance(node, ast.Call) and node.args:
            function = ast.unparse(node.func)
            argument = node.args[0]
            if function.endswith("import_module") and isinstance(
                argument, ast.Constant
            ):
                yield node.lineno, argument.value


def part_of(name):
    return name.split(".")[1] if "." in name else ""


def level_of(name):
    return LEVELS.get(part_of(name), 0)


def edges():
    """Yield (importer, line, imported) for imports within hai."""
    for name in modules():
        for line, imported in [*imports_of(name), *named_late(name)]:
            if imported.split(".")[0] == "hai":
                yield name, line, imported


def test_there_is_a_package_to_look_at():
    assert len(modules()) > 20
    assert len(list(edges())) > 50


def test_imports_point_down_only():
    upward = [
        f"{name}:{line} imports {imported}"
        for name, line, imported in edges()
        if level_of(imported) > level_of(name)
    ]
    assert upward == []


def test_edges_do_not_meet():
    sideways = [
        f"{name}:{line} imports {imported}"
        for name, line, imported in edges()
        if part_of(name) in EDGES
        and part_of(imported) in EDGES
        and part_of(name) != part_of(imported)
    ]
    assert sideways == []


def test_app_does_not_know_the_commands():
    names = [name for name, _, imported in edges() if part_of(imported) == "cli"]
    assert all(part_of(name) == "cli" for name in names)


def test_no_import_cycles():
    """Names that only type checkers need are no imports: they cannot form a ring."""
    graph = {name: set() for name in modules()}
    for name, line, imported in edges():
        if line not in lines_for_types_only(name):
            graph[name].add(imported)
    assert find_cycle(graph) is None


def lines_for_types_only(name):
    return {
        line
        for node in ast.walk(modules()[name])
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"
        for line in range(node.lineno, node.end_lineno + 1)
    }


def find_cycle(graph):
    """Return modules that import one another in a ring, or None."""
    done, path = set(), []

    def visit(name):
        if name in path:
            return [*path[path.index(name) :], name]
        if name in done:
            return None
        path.append(name)
        cycle = next(filter(None, map(visit, sorted(graph.get(name, ())))), None)
        path.pop()
        done.add(name)
        return cycle

    return next(filter(None, map(visit, graph)), None)


def test_a_cycle_would_be_found():
    assert find_cycle({"a": {"b"}, "b": {"c"}, "c": {"b"}}) == ["b", "c", "b"]


@pytest.mark.parametrize("kind", [ast.FunctionDef, ast.AsyncFunctionDef])
def test_no_import_hides_in_a_function(kind):
    hidden = [
        f"{name}:{inner.lineno}"
        for name, tree in modules().items()
        for outer in ast.walk(tree)
        if isinstance(outer, kind)
        for inner in ast.walk(outer)
        if isinstance(inner, ast.Import | ast.ImportFrom)
    ]
    assert hidden == []


def test_imports_are_absolute_and_never_shadow_hai():
    """`import hai` would be hidden by a local variable named hai."""
    wrong = [
        f"{name}:{node.lineno}"
        for name, tree in modules().items()
        for node in ast.walk(tree)
        if (isinstance(node, ast.ImportFrom) and node.level)
        or (
            isinstance(node, ast.Import)
            and any(alias.name.split(".")[0] == "hai" for alias in node.names)
        )
    ]
    assert wrong == []


def test_libraries_are_imported_where_they_belong():
    wrong = []
    for name in modules():
        for line, imported in [*imports_of(name), *named_late(name)]:
            library = imported.split(".")[0]
            if library == "hai" or library in sys.stdlib_module_names - ALLOWED.keys():
                continue
            if not re.match(ALLOWED.get(library, "nowhere"), name):
                wrong.append(f"{name}:{line} imports {library}")
    assert wrong == []


# A statement as it begins in a text, and the calls that take one.
STATEMENT = re.compile(r"\s*(SELECT|INSERT|REPLACE|UPDATE|DELETE|WITH|PRAGMA|CREATE) ")
RUNS = {"execute", "executemany", "executescript", "execute_sql"}


def queries_of(name):
    """Yield (line, what) where a module speaks to a table by itself."""
    for line, imported in imports_of(name):
        if imported == "hai.storage.models":
            yield line, "imports the tables"
    for node in ast.walk(modules()[name]):
        if isinstance(node, ast.Constant) and STATEMENT.match(str(node.value)):
            yield node.lineno, "has a statement"
        elif isinstance(node, ast.Attribute) and node.attr in RUNS:
            yield node.lineno, f"calls {node.attr}"


def is_of_storage(name):
    return part_of(name) == "storage" or name == "hai.bench.stock_pictures"


def test_only_storage_knows_tables():
    """What it is compared with, in bench/, has a file of its own."""
    elsewhere = [
        f"{name}:{line} {what}"
        for name in modules()
        if not is_of_storage(name)
        for line, what in queries_of(name)
    ]
    assert elsewhere == []


@pytest.mark.parametrize(
    "what", ["imports the tables", "has a statement", "calls execute"]
)
def test_a_query_would_be_found(what):
    found = {what for name in modules() for _, what in queries_of(name)}
    assert what in found


def test_the_floor_needs_the_standard_library_only():
    wrong = [
        f"{name}:{line} imports {imported}"
        for name in modules()
        if level_of(name) == 0
        for line, imported in imports_of(name)
        if imported.split(".")[0] not in sys.stdlib_module_names | {"hai"}
    ]
    assert wrong == []


def test_heavy_libraries_are_loaded_when_first_needed():
    early = [
        f"{name}:{line} imports {imported}"
        for name in modules()
        for line, imported in imports_of(name)
        if imported.split(".")[0] in LATE
    ]
    assert early == []


def test_no_two_classes_have_one_name():
    """Who searches for a name finds the one that is meant."""
    homes = {}
    for name, tree in modules().items():
        for node in ast.walk(tree):
            if isinstance(node, ast.ClassDef) and node.name != "Meta":  # Peewee's
                homes.setdefault(node.name, []).append(name)
    assert {name: found for name, found in homes.items() if len(found) > 1} == {}


def test_every_folder_is_in_the_package():
    """setup.cfg names the packages by hand; a forgotten one is not installed."""
    setup = configparser.ConfigParser()
    setup.read(ROOT / "setup.cfg")
    named = set(setup["options"]["packages"].split())
    folders = {
        ".".join(path.parent.relative_to(ROOT).parts)
        for path in (ROOT / "hai").rglob("*.py")
    }
    assert folders <= named
    assert named - folders == {"hai.templates", "hai.static"}


def test_every_folder_says_what_lives_there():
    silent = [
        path.parent.name
        for path in (ROOT / "hai").rglob("__init__.py")
        if not ast.get_docstring(ast.parse(path.read_text()))
    ]
    assert silent == []


# --- JavaScript ----------------------------------------------------------------------

JS_LEVELS = {"lib": 0, "net": 1, "models": 2, "controllers": 3}
JS_IMPORT = re.compile(r"""(?:from|import)\s*\(?\s*["']([^"']+)["']""")


def scripts():
    return sorted(
        path for name in JS_LEVELS for path in (ROOT / "static/js" / name).rglob("*.js")
    )


def test_scripts_import_downwards_only():
    assert scripts(), "there is JavaScript to look at"
    wrong = []
    for path in scripts():
        mine = JS_LEVELS[path.relative_to(ROOT / "static/js").parts[0]]
        for imported in JS_IMPORT.findall(path.read_text()):
            folder = imported.removeprefix("#").split("/")[0]
            is_ours = imported.startswith("#")
            if imported.startswith((".", "/")):
                wrong.append(f"{path.name}: {imported} is not an import-map name")
            elif is_ours and (JS_LEVELS[folder] > mine or mine == 0):
                wrong.append(f"{path.name} imports {imported}")
    assert wrong == []


def wing_of(folder, name):
    """The wing of a module within a folder: its place in WINGS."""
    if name in ABOVE_WINGS:
        return len(WINGS[folder])
    wing = name.removeprefix(f"{folder}.").split(".")[0]
    return WINGS[folder].index(wing if wing in WINGS[folder] else "")


@pytest.mark.parametrize("folder", WINGS)
def test_wings_import_one_way(folder):
    inside = [
        (name, line, imported)
        for name, line, imported in edges()
        if name.startswith(f"{folder}.") and imported.startswith(f"{folder}.")
    ]
    assert inside
    back = [
        f"{name}:{line} imports {imported}"
        for name, line, imported in inside
        if wing_of(folder, imported) > wing_of(folder, name)
    ]
    assert back == []


def test_no_folder_is_crowded():
    folders = {path.parent for path in (ROOT / "hai").rglob("*.py")}
    assert len(folders) > 10
    crowded = {
        str(folder.relative_to(ROOT)): len(list(folder.glob("*.py")))
        for folder in folders
        if len(list(folder.glob("*.py"))) > MAX_FILES
    }
    assert crowded == {}
