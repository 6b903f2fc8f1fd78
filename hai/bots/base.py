"""What a bot is: it is told of a hai and may answer. Nothing else.

A bot does not post, look anything up or know who is connected; the dispatcher
does that for it. So a bot can be tried with two dictionaries and no server.
"""

from typing import Protocol

from hai.shapes import HaiObject, RoomObject


class Bot(Protocol):
    """name: of its user account, without spaces. display_name: what people see."""

    name: str
    display_name: str

    async def reply(self, hai: HaiObject, room: RoomObject) -> str | None:
        """The text of an answer, or None for no answer.

        hai, room: the objects that every client gets. Called on the loop, so whatever
        computes or waits goes to a thread. One hai at a time, unless an answer is
        late: then the next begins beside it. Cancelled when the dispatcher gives up.
        """
