"""The second step of signing in: a code, after the password was right."""

from typing import Any

from hai.core.identity import factors, second_step, sessions
from hai.core.identity.second_step import Half
from hai.errors import RateLimited, Unauthorized
from hai.web.sign_in.sessions import SECOND_STEP_COOKIE, SessionHandler


class SecondStepHandler(SessionHandler):
    """GET and POST /sign_in/code: `code`, of an app or for recovery, and `next`."""

    is_public = True
    works_without_factor = True

    def find_half(self) -> Half | None:
        return second_step.find(self.core, self.find_step(SECOND_STEP_COOKIE))

    async def get(self) -> None:
        if self.find_half() is None:
            self.redirect(self.reverse_url("sign_in"))
        else:
            await self.show(form={"next": self.query("next")})

    async def show(self, **names: Any) -> None:
        half = self.find_half()
        if half is None:
            self._begin_again()
            return
        state = await factors.state_of(self.core, half.user_id, "member")
        self.draw("sessions/code.html", "One more step", factor=state, **names)

    async def submit(self) -> None:
        half = self.find_half()
        if half is None:
            self._begin_again()
            return
        self.slow_down(*self.user_keys("code", half.user_id))
        code = self.form.text("code")
        try:
            token = await sessions.enter(self.core, half, code, self.agent)
        except RateLimited:
            self.forgive_account()
            raise
        self.forgive()
        self.finish_step(token)

    def finish_step(self, token: str) -> None:
        self.forget_step(SECOND_STEP_COOKIE)
        self.keep(token)
        self.done(self.next_path(self.form.text("next")))

    def _begin_again(self) -> None:
        if not self.wants_page():
            raise Unauthorized(sessions.HALF_GONE)
        self.redirect(self.reverse_url("sign_in") + "?done=too_slow", status=303)
