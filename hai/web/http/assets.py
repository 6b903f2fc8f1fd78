"""The page's own files: hashed addresses, one style sheet, the import map.

Everything below `static/` is read once, at the start, and kept in memory gzipped, about
200 KiB in total. A hashed address (`app.1f3a9c2e.js`) may be cached forever; the plain
one is revalidated each time. There is no build: scripts are served as written, style
sheets are concatenated in layer order. It does not know what a page contains.
"""

import base64
import gzip
import hashlib
import http
import json
import re
from collections.abc import Iterable
from functools import cache, cached_property
from pathlib import Path
from typing import Any

from tornado.web import HTTPError, RequestHandler

from hai.errors import BadRequest, NotFound
from hai.web.http import headers

PACKAGE = Path(__file__).resolve().parents[2]

TYPES = {
    ".js": "text/javascript",  # modules are always UTF-8
    ".mjs": "text/javascript",
    ".css": "text/css; charset=utf-8",
    ".svg": "image/svg+xml",
    ".png": "image/png",
    ".webmanifest": "application/manifest+json",
}
COMPRESSED = {".js", ".mjs", ".css", ".svg", ".webmanifest"}

STYLES = "styles.css"
STYLE_ORDER = (
    "layers",
    "reset",
    "tokens",
    "base",
    "layout",
    "components/*",
    "utilities",
)
LATE_STYLES = "css/late/"  # fetched where they are needed, not joined
STYLE_URL = re.compile(r'url\("/static/([^"]+)"\)')

# The names under which scripts import one another, and the files they stand for.
FOLDERS = ("lib", "net", "models", "controllers")
VENDOR = {
    "socket.io-client": "vendor/socket.io-client/socket.io.esm.min.js",
    "dropzone": "vendor/dropzone/dropzone.mjs",
}
# Fetched when first needed, to keep the first page light.
LATE_CONTROLLERS = (
    *("ask", "avatar", "copy", "describe", "eliza"),
    *("lightbox", "lightbox_stage", "lightbox_video", "palette"),
    *("passkey", "players", "receipts", "recorder", "share", "tray_media"),
)
LATE = {
    "dropzone",
    "#lib/shared",
    "#models/shared_tray",
    *(f"#controllers/{name}" for name in LATE_CONTROLLERS),
    "#lib/clipboard",
    "#lib/passkeys",
    "#lib/styles",
    "#models/crop",
    "#models/gallery",
    "#models/receipts",
    "#models/zoom",
    "#net/native_driver",
    "#net/picture_bytes",
    "#net/tus",
    "#net/upload_sweep",
}

# Comments are removed: they are a tenth of the first page. A comment begins its line or
# follows the end of a statement, and its line breaks stay, so that line numbers in a
# browser are those of the source.
COMMENTS = re.compile(
    r"^[ \t]*(?://[^\n]*|/\*.*?\*/)|(?<=[;,{(\[}]) // [^\n]*", re.MULTILINE | re.DOTALL
)
# So is what indents a line: 2 KB of the first page, gzipped. A text that goes on in the
# next line would lose its spaces there; a test keeps such out of the scripts.
INDENTS = re.compile(r"^[ \t]+", re.MULTILINE)
OURS = ("js/", "css/")  # other authors' files keep their licences

FOREVER = (
    "max-age=31536000, immutable"  # as short as possible: there are fifty small files
)
PLAIN_NAMES = {
    "favicon.ico": "icons/icon-32.png",
    "manifest.webmanifest": "manifest.webmanifest",
    "service_worker.js": "service_worker.js",  # from the root it may serve all pages
}


def find_folder(name: str) -> Path:
    """`templates` or `static`: in the installed package, or beside it in a checkout."""
    inside = PACKAGE / name
    return inside if inside.is_dir() else PACKAGE.parent / name


def without_comments(text: str) -> str:
    return COMMENTS.sub(lambda found: "\n" * found[0].count("\n"), text)


def compact(text: str) -> str:
    """A script or style sheet without what only its readers need."""
    return INDENTS.sub("", without_comments(text))


def _served(name: str, body: bytes) -> bytes:
    is_text = name.startswith(OURS)
    return compact(body.decode()).encode() if is_text else body


class Asset:
    """One file as served. name: its path below `static/`."""

    __slots__ = ("digest", "is_zipped", "kept", "name")

    def __init__(self, name: str, body: bytes) -> None:
        self.name = name
        self.is_zipped = Path(name).suffix in COMPRESSED
        # The one form that browsers ask for. mtime 0: the same bytes at every start.
        self.kept = gzip.compress(body, 9, mtime=0) if self.is_zipped else body
        digest = hashlib.sha256(body).digest()
        self.digest = base64.b32encode(digest[:5]).decode().lower()

    @property
    def body(self) -> bytes:
        return gzip.decompress(self.kept) if self.is_zipped else self.kept

    @property
    def type(self) -> str:
        return TYPES[Path(self.name).suffix]

    @property
    def url(self) -> str:
        path = Path(self.name)
        return f"/static/{path.with_suffix('').as_posix()}.{self.digest}{path.suffix}"


class Assets:
    """What `static/` held when the server started."""

    def __init__(self, folder: Path | None = None) -> None:
        self.folder = folder or find_folder("static")
        self.by_name = {asset.name: asset for asset in self._read()}
        styles = Asset(STYLES, self._joined_styles().encode())
        self.by_name[STYLES] = styles
        self.by_url = {asset.url: asset for asset in self.by_name.values()}

    def _read(self) -> Iterable[Asset]:
        for path in sorted(self.folder.rglob("*")):
            if path.is_file() and path.suffix in TYPES:
                name = path.relative_to(self.folder).as_posix()
                if not name.startswith("css/") or name.startswith(LATE_STYLES):
                    yield Asset(name, _served(name, path.read_bytes()))

    def _joined_styles(self) -> str:
        css = self.folder / "css"
        paths = [
            path for part in STYLE_ORDER for path in sorted(css.glob(f"{part}.css"))
        ]
        joined = "\n".join(compact(path.read_text()) for path in paths)
        return STYLE_URL.sub(lambda found: f'url("{self.url(found[1])}")', joined)

    def url(self, name: str) -> str:
        """The hashed address of a file below `static/`."""
        return self.by_name[name].url

    @property
    def styles_url(self) -> str:
        return self.url(STYLES)

    @cached_property
    def modules(self) -> dict[str, str]:
        """Import name -> address. Missing vendor files are left out."""
        names = {
            f"#{folder}/{Path(name).stem}": name
            for folder in FOLDERS
            for name in self.by_name
            if name.startswith(f"js/{folder}/")
        }
        names |= {key: name for key, name in VENDOR.items() if name in self.by_name}
        return {key: self.url(name) for key, name in names.items()}

    @cached_property
    def import_map(self) -> str:
        return json.dumps({"imports": self.modules}, separators=(",", ":"))

    @cached_property
    def import_map_hash(self) -> str:
        """As the policy of a page names it."""
        return headers.hash_source(self.import_map)

    @cached_property
    def preloads(self) -> list[str]:
        """What a live page needs at once, so that the browser need not discover it."""
        return [url for name, url in self.modules.items() if name not in LATE]

    def find(self, path: str) -> tuple[Asset, bool]:
        """The asset at an address, and whether that address can never change."""
        if asset := self.by_url.get(path):
            return asset, True
        name = path.removeprefix("/static/").lstrip("/")
        if asset := self.by_name.get(PLAIN_NAMES.get(name, name)):
            return asset, False
        raise HTTPError(404)


@cache
def own_assets() -> Assets:
    """Hai's own, compressed once per process, however many servers it runs."""
    return Assets()


class AssetHandler(RequestHandler):
    """Serves one asset from memory; knows no session."""

    SUPPORTED_METHODS = ("GET", "HEAD")

    def initialize(self, assets: Assets) -> None:
        self.assets = assets

    def get(self) -> None:
        asset, is_hashed = self.assets.find(self.request.path)
        self.set_header("Content-Type", asset.type)
        self.set_header("Cache-Control", FOREVER if is_hashed else "no-cache")
        self.set_header("X-Content-Type-Options", "nosniff")
        self.set_header("Vary", "Accept-Encoding")
        if not is_hashed:  # what never changes is never asked for again
            self.set_header("Etag", f'"{asset.digest}"')
        self.clear_header("Server")  # of fifty small files, 1 KB
        if self.check_etag_header():
            self.set_status(304)
            return
        self.finish(self._encoded(asset))

    def head(self) -> None:
        self.get()

    def _encoded(self, asset: Asset) -> bytes:
        accepted = self.request.headers.get("Accept-Encoding", "")
        if not asset.is_zipped or "gzip" not in accepted:
            return asset.body
        self.set_header("Content-Encoding", "gzip")
        return asset.kept

    def compute_etag(self) -> str | None:
        return None  # set above, from the file's own hash

    def write_error(self, status_code: int, **kwargs: Any) -> None:
        """With a code, like all errors of Hai."""
        for name, value in headers.SAFE.items():
            self.set_header(name, value)
        self.set_header("Server", "Hai")
        self.set_header("Content-Security-Policy", headers.NOTHING_POLICY)
        if status_code == http.HTTPStatus.METHOD_NOT_ALLOWED:
            self.set_header("Allow", ", ".join(self.SUPPORTED_METHODS))
        error = NotFound() if status_code == NotFound.status else BadRequest()
        self.finish({"error": error.as_dict()})


def url_rules(assets: Assets) -> list[Any]:
    """The Tornado rules for everything this file serves."""
    options = {"assets": assets}
    names = "|".join(map(re.escape, PLAIN_NAMES))
    return [
        (r"/static/.+", AssetHandler, options),
        (rf"/(?:{names})", AssetHandler, options),
    ]
