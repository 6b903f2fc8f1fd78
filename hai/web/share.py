"""What a phone's share sheet sends: the page for choosing its room.

The service worker (static/service_worker.js) handles the POST and keeps the content in
the browser. If it is not installed yet the POST arrives here, and the user is asked to
try again: nothing of it is read, and it is still where it was shared from.
"""

from hai.errors import Busy, HaiError
from hai.web.http.base import BaseHandler

NOT_READY = (
    "Hai was not ready to take that, so it was not sent. It is still where you shared"
    " it from: open Hai once, and then share it again."
)
PROBLEMS = {
    "full": "Too much is waiting here already, so the last was not taken. Send some.",
    "failed": "This device could not keep what you shared. Please share it again.",
}


class ShareHandler(BaseHandler):
    """GET: choose the room; POST: only if no service worker handles it."""

    max_body_bytes = 0

    async def prepare(self) -> None:
        if self.request.method != "POST":
            await super().prepare()
            return
        try:
            self.identity = self.find_identity()
            raise Busy(NOT_READY)
        except HaiError as error:
            self.refuse(error)

    async def get(self) -> None:
        problem = PROBLEMS.get(self.query("problem"), "")
        await self.page("share/show.html", "Shared", problem=problem)

    async def post(self) -> None:
        """Never reached: `prepare` has answered."""
