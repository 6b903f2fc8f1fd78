"""What a bot is: it receives a hai and may reply. Nothing else.

A bot does not post, look anything up or know who is connected; the dispatcher does that
for it. So a bot can be tested with two dictionaries and no server.
"""

from typing import Protocol

from hai.shapes import HaiObject, RoomObject


class Bot(Protocol):
    """name: of its user account, without spaces. display_name: what people see."""

    name: str
    display_name: str

    async def reply(self, hai: HaiObject, room: RoomObject) -> str | None:
        """The text of a reply, or None for no reply.

        hai, room: the objects that every client gets. Called on the loop, so whatever
        computes or waits belongs in a thread. One hai at a time, unless a reply is
        late: then the next starts alongside it. Cancelled when the dispatcher gives up.
        """
