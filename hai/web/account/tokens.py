"""The bearer tokens of one's own programs: the page, and the API for them."""

from typing import Any

from hai.core.people import tokens
from hai.errors import BadRequest
from hai.shapes import TokensResponse
from hai.web.http.base import BaseHandler, FormHandler
from hai.web.views.times import in_days

# What the form offers; a program may ask for any number of days.
DAYS = (30, 90, 365, 0)


class TokensHandler(FormHandler):
    """GET and POST /settings/tokens: `name`, `scope`, `days` (0: no end)."""

    async def show(self, token: str = "", **names: Any) -> None:
        found = await tokens.list_of(self.core, self.user.user_id)
        if self.wants_json():
            answer: TokensResponse = {"tokens": found}
            self.write_json(answer)
            return
        choices = [(days, in_days(days)) for days in DAYS]
        names |= {"tokens": found, "token": token, "choices": choices}
        await self.page("accounts/tokens.html", "Programs", **names)

    async def submit(self) -> None:
        days = self.form.payload().get("days")
        if type(days) is not int or days < 0:
            raise BadRequest("days must be a whole number.", field="days")
        token = await tokens.make(
            self.core,
            self.user,
            name=self.form.text("name"),
            scope=self.form.text("scope"),
            days=days or None,
        )
        self.set_status(201)
        if self.wants_json():
            self.write_json({"token": token}, 201)
        else:
            await self.show(token)


class EndTokenHandler(BaseHandler):
    """POST /settings/tokens/ID/end"""

    async def post(self, token_id: int) -> None:
        await tokens.end(self.core, self.user.user_id, token_id)
        self.done(self.reverse_url("tokens"), done="token")


class ApiTokensHandler(BaseHandler):
    """GET: my tokens, without their secrets."""

    always_json = True

    async def get(self) -> None:
        found = await tokens.list_of(self.core, self.user.user_id)
        answer: TokensResponse = {"tokens": found}
        self.write_json(answer)


class ApiTokenHandler(BaseHandler):
    """DELETE: end one of them."""

    always_json = True

    async def delete(self, token_id: int) -> None:
        await tokens.end(self.core, self.user.user_id, token_id)
        self.set_status(204)
