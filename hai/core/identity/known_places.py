"""Where people have been lately, signed in: strangers cannot keep them out there.

In memory, and bounded: after a start it is empty, and fills as pages are opened.
"""

from collections import OrderedDict

MAX_PLACES = 10_000  # 2.4 MiB; beyond them the one seen longest ago is forgotten


class KnownPlaces:
    """Pairs of a user and an address, as origin.address_block tells them apart."""

    def __init__(self) -> None:
        self._seen: OrderedDict[tuple[int, str], None] = OrderedDict()

    def note(self, user_id: int, address: str) -> None:
        self._seen[user_id, address] = None
        self._seen.move_to_end((user_id, address))
        if len(self._seen) > MAX_PLACES:
            self._seen.popitem(last=False)

    def has(self, user_id: int, address: str) -> bool:
        return (user_id, address) in self._seen
