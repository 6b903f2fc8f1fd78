"""The lecture's chatbot page; its messages go through the namespace /eliza."""

from hai.web.http.base import BaseHandler


class ElizaHandler(BaseHandler):
    """GET /eliza"""

    async def get(self) -> None:
        await self.page("eliza/show.html", "Eliza")
