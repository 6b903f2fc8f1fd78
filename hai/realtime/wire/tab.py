"""An authenticated socket: what the connections of both endpoints have in common."""

import asyncio

from hai.core.identity.sessions import Identity
from hai.realtime.wire.outbox import Outbox


class Tab(Outbox):
    """A socket that has been authenticated, on either endpoint."""

    identity: Identity | None
    in_flight = 0  # orders started and not yet acked
    in_flight_chars = 0  # of the messages that they came in
    relief: "asyncio.Future[None] | None" = None  # done when in_flight is low again

    @property
    def has_hung_up(self) -> bool:
        """Whether the client has stopped sending, detected without reading."""
        return False

    def end_session(self) -> None:
        """Send `session_ended` if this tab receives facts, then close."""
        raise NotImplementedError

    def hang_up(self, code: int) -> None:
        """Close the connection; what is pending goes out first."""
        raise NotImplementedError
