"""The page's own files: hashed, zipped, joined, and named in the import map."""

import gzip
import json
import re
from pathlib import Path

import pytest

from hai.web.http.assets import (
    LATE,
    Assets,
    compact,
)
from hai.web.views.pictures import ACCEPTED

STATIC = Path(__file__).parents[3] / "static"
SCRIPTS = sorted((STATIC / "js").rglob("*.js"))


@pytest.fixture(scope="module")
def assets():
    return Assets()


def test_styles_are_joined_in_layer_order(assets):
    css = assets.by_name["styles.css"].body.decode()
    marks = (
        "@layer reset, tokens",
        "@layer reset {",
        "@layer tokens {",
        "@layer base {",
    )
    marks += ("@layer layout {", "@layer components {", ".only-spoken")
    places = [css.index(mark) for mark in marks]
    assert places == sorted(places)


def test_every_style_sheet_is_in(assets):
    css = assets.by_name["styles.css"].body.decode()
    sheets = list((STATIC / "css").rglob("*.css"))
    late = [path for path in sheets if path.parent.name == "late"]
    assert len(sheets) > 10
    for path in late:
        name = path.relative_to(STATIC).as_posix()
        body = assets.find(assets.url(name))[0].body.decode()
        assert body == compact(path.read_text())
        assert body not in css
        sheets.remove(path)
    texts = [compact(path.read_text()) for path in sheets]
    assert [text for text in texts if text.strip()[:60] not in css] == []


def test_comments_and_indents_are_not_served_and_no_line_moves():
    text = "a // b\n  // c\n  /** d\n   * e */\nf('/* g */');\n/* h */ i\n"
    assert compact(text) == "a // b\n\n\n\nf('/* g */');\ni\n"
    assert compact("{\n  a  b\n\t c\n}") == "{\na  b\nc\n}"
    assert compact("a; // b\nc('; //d', x); // e") == "a;\nc('; //d', x);"


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.stem)
def test_what_is_left_out_of_a_script_is_no_part_of_a_text(script):
    before = script.read_text()
    after = compact(before)
    is_in_text = False
    for line, served in zip(before.split("\n"), after.split("\n"), strict=True):
        assert line == served or not is_in_text
        is_in_text ^= served.count("`") % 2 == 1
    assert not is_in_text


def test_raw_colours_stand_in_the_tokens_only():
    allowed = {"tokens.css", "avatar.css", "lightbox.css"}  # hues by id; a dark stage
    raw = re.compile(r"#[0-9a-fA-F]{3,8}\b|oklch\(|rgba?\(|hsla?\(")
    sheets = (STATIC / "css").rglob("*.css")
    assert [
        p.name for p in sheets if p.name not in allowed and raw.search(p.read_text())
    ] == []


def test_the_import_map_names_every_module(assets):
    imports = json.loads(assets.import_map)["imports"]
    scripts = [path for path in (STATIC / "js").rglob("*.js") if path.name != "app.js"]
    names = {f"#{path.parent.name}/{path.stem}" for path in scripts}
    assert names | {"socket.io-client", "dropzone"} == imports.keys()
    assert imports.keys() >= LATE


def test_scripts_import_only_what_the_map_names(assets):
    imports = json.loads(assets.import_map)["imports"]
    found = re.compile(r"""(?:from|import\()\s*["']([^"']+)["']""")
    for path in (STATIC / "js").rglob("*.js"):
        assert set(found.findall(path.read_text())) <= imports.keys(), path.name


def test_a_changed_file_has_another_address(tmp_path):
    (tmp_path / "css").mkdir()
    (tmp_path / "a.js").write_text("1")
    first = Assets(tmp_path).url("a.js")
    (tmp_path / "a.js").write_text("2")
    assert re.fullmatch(r"/static/a\.[a-z2-7]{8}\.js", first)
    assert Assets(tmp_path).url("a.js") != first


async def test_a_hashed_address_is_kept_for_ever_and_zipped(app, client, assets):
    headers = {"Accept-Encoding": "gzip"}
    answer = await client().get(assets.styles_url, headers=headers)
    assert answer.headers["Cache-Control"] == "max-age=31536000, immutable"
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert answer.headers["Vary"] == "Accept-Encoding"
    css = answer.body
    if css[:2] == b"\x1f\x8b":
        css = gzip.decompress(css)
    assert css == assets.by_name["styles.css"].body


async def test_a_plain_address_is_asked_for_again(app, client):
    answer = await client().get("/manifest.webmanifest")
    assert answer.headers["Cache-Control"] == "no-cache"
    headers = {"If-None-Match": answer.headers["Etag"]}
    assert (await client().get("/manifest.webmanifest", headers=headers)).status == 304
    (shared,) = answer.json["share_target"]["params"]["files"]
    assert shared["accept"] == [*ACCEPTED]
    icons = [icon["src"] for icon in answer.json["icons"]]
    assert [(await client().get(icon)).status for icon in icons] == [200] * len(icons)


async def test_nothing_else_is_served(app, client):
    for path in (
        "/static/../setup.cfg",
        "/static/vendor/package-lock.json",
        "/static/",
    ):
        answer = await client().get(path)
        assert (answer.status, answer.code) == (404, "not_found")
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
        assert answer.headers["Server"] == "Hai"
    answer = await client().request("DELETE", "/static/css/base.css")
    assert (answer.status, answer.code) == (405, "bad_request")
