"""Hais that were read recently, as objects and as JSON: by (id, rev).

A hai of one rev never changes: whatever is seen of it, its reactions and pictures too,
raises its rev (tests/core/talk/test_hai_cache.py tries every order). So readers ask for
the ids and revs of a snapshot only, and whichever of them is here needs neither its row
nor its pictures and reactions. It is filled from snapshots, never by the writer, whose
transaction may yet fail.

Objects are shared by everybody who may read them, and by all threads: they are never
altered. Who may read what is asked in the snapshot, not here.
"""

import json
from collections.abc import Sequence
from typing import Any

from hai.cache import Cache
from hai.core.objects import hai_objects
from hai.shapes import HaiObject
from hai.storage import hais as rows
from hai.storage.hais import HaiRev

OBJECT_BYTES = 1_200  # of memory, besides its texts (measured with tracemalloc)
COPIES = 3  # of the text: in the row's column, its html, its JSON

_encode = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode


class KnownObject(dict[str, Any]):
    """An object whose JSON is kept once it was made. Never altered."""

    __slots__ = ("_json",)
    _json: str

    @property
    def json(self) -> str:
        try:
            return self._json
        except AttributeError:
            self._json = self._encoded()
            return self._json

    def _encoded(self) -> str:
        return encode_parts(self)


class KnownHai(KnownObject):
    """size: see `size`."""

    __slots__ = ("size",)

    def __init__(self, hai: HaiObject) -> None:
        super().__init__(hai)
        self.size = size(hai)

    def _encoded(self) -> str:
        return _encode(self)


def objects(cache: Cache, revs: Sequence[HaiRev]) -> list[HaiObject]:
    """The hais of these ids, in this order, as they are in this snapshot. (any thread)

    revs: as this snapshot has them.
    """
    found: dict[int, Any] = {}
    missing = []
    for pair in revs:
        hai = cache.find(("hai", *pair))
        if hai is None:
            missing.append(pair[0])
        else:
            found[pair[0]] = hai
    if missing:
        for read in hai_objects(rows.find(missing)):
            hai = found[read["id"]] = KnownHai(read)
            kept_bytes = OBJECT_BYTES + COPIES * hai.size
            cache.put(("hai", read["id"], read["rev"]), hai, kept_bytes)
    return [found[hai_id] for hai_id, _ in revs]


def size(hai: HaiObject) -> int:
    """An upper bound of a hai's size in bytes of JSON."""
    if isinstance(hai, KnownHai):
        return hai.size
    pictures = sum(900 + 6 * len(p.get("alt", "")) for p in hai["pictures"])
    reactors = sum(60 + 8 * len(ids_) for ids_ in hai["reactions"].values())
    text_bytes = _json_bytes(hai["text"]) + _json_bytes(hai.get("html", ""))
    return 390 + text_bytes + pictures + reactors


def _json_bytes(text: str) -> int:
    """Exact: a control character is six bytes in JSON, a line break two."""
    return len(_encode(text).encode())


def encode(value: Any) -> str:
    """As JSON, not ASCII only; of hais that are known, what is kept of them."""
    if isinstance(value, KnownObject):
        return value.json
    return encode_parts(value) if isinstance(value, dict) else _encode(value)


def encode_parts(value: dict[str, Any]) -> str:
    """The same, of an object that may hold a list of known hais."""
    parts = [f"{_encode(key)}:{_encode_part(part)}" for key, part in value.items()]
    return "{" + ",".join(parts) + "}"


def _encode_part(part: Any) -> str:
    if isinstance(part, list) and part and all(map(_is_known, part)):
        return "[" + ",".join([hai.json for hai in part]) + "]"
    has_hais = isinstance(part, dict) and "hais" in part  # a state, in a page
    return encode(part) if has_hais else _encode(part)


def _is_known(value: Any) -> bool:
    return isinstance(value, KnownHai)
