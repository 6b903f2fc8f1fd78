"""Who has seen the reader's newest hai, in the words of the page.

`static/js/models/receipts.js` says the same for later facts: change both; a browser
test compares them.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

Dict = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class ReceiptView:
    """hai_id: my newest hai that another person has read."""

    hai_id: int
    words: str
    names: str


def receipt_view(state: Dict, users: dict[int, Dict]) -> ReceiptView | None:
    """None without receipts, without readers, or if newer hais are not loaded."""
    reads, me_id = state["room"].get("read_hai_ids"), state["me"]["id"]
    if not reads or state["has_more_after"]:
        return None
    people = {
        id_: hai_id
        for id_, hai_id in reads.items()
        if id_ != me_id and id_ in users and users[id_]["kind"] == "person"
    }
    furthest = max(people.values(), default=0)
    mine = [hai["id"] for hai in state["hais"] if hai["user_id"] == me_id]
    seen_id = max((id_ for id_ in mine if id_ <= furthest), default=None)
    if seen_id is None:
        return None
    names = sorted(
        users[id_]["display_name"]
        for id_, hai_id in people.items()
        if hai_id >= seen_id
    )
    return ReceiptView(seen_id, _words(state["room"], names), ", ".join(names))


def _words(room: Dict, names: list[str]) -> str:
    if len(names) > 1:
        return f"Seen by {len(names)}"
    is_of_two = room["kind"] == "direct" and room["member_count"] == 2
    return "Seen" if is_of_two else f"Seen by {names[0]}"
