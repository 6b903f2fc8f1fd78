"""A socket of somebody known: what both endpoints' connections have in common."""

import asyncio

from hai.core.identity.sessions import Identity
from hai.realtime.wire.outbox import Outbox


class Tab(Outbox):
    """A socket that has been authenticated, on either endpoint."""

    identity: Identity | None
    in_flight = 0  # orders begun and not yet acked
    in_flight_chars = 0  # of the messages that they came in
    relief: "asyncio.Future[None] | None" = None  # done when in_flight is low again

    @property
    def has_hung_up(self) -> bool:
        """Whether its client sends nothing more, seen without reading."""
        return False

    def end_session(self) -> None:
        """Tell `session_ended` to who hears facts here, then close."""
        raise NotImplementedError

    def hang_up(self, code: int) -> None:
        """Close the connection; what is pending goes out first."""
        raise NotImplementedError
