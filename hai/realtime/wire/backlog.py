"""What a polling session has not fetched yet: packets, oldest first.

A poll takes as many packets from the front as one response may hold, so a session with
thousands of packets waiting pays the same per packet as one with two. A session is
closed by how much is waiting and how long ago the client last fetched something: it has
the budget of a WebSocket, and a little longer when the budget fills up between two
polls. The full memory cost of a packet is counted, not only its bytes.
"""

from collections import deque

from hai.realtime.wire.outbox import (
    Fact,
    Pending,
    as_payload,
)
from hai.realtime.wire.websocket import BUDGET_BYTES, STALL_S

FACT_BYTES = 300  # overhead of a waiting packet: objects and references
# The budget may be exceeded only between two polls, and never up to this.
MOST_BYTES = 2 * BUDGET_BYTES
# Above this a client's own packets wait for its next poll: one page (128 KiB) more
# still fits.
FULL_BYTES = MOST_BYTES - 160 * 1024
MAX_ANSWER_BYTES = 128 * 1024  # at least one packet, whatever its size
# python-engineio refuses a response with more packets and drops all of them. Other
# clients accept any number, so a member 100 ms away keeps up with all facts.
PYTHON_PACKETS = 16
MAX_PACKETS = 1000


class Backlog:
    """`add` what was sent; `take` the payload of the next response."""

    __slots__ = ("_facts", "fetched_s", "size_bytes")

    def __init__(self, now_s: float) -> None:
        self._facts: deque[tuple[Fact, int]] = deque()  # with what each costs
        self.size_bytes = 0
        self.fetched_s = now_s  # when the client last took something

    def __bool__(self) -> bool:
        return bool(self._facts)

    def add(self, place: Pending) -> None:
        """Everything up to this node; cancelled facts are left out."""
        for fact in place.facts():
            if fact.body:
                cost = len(fact.prefix) + len(fact.body) + FACT_BYTES
                self._facts.append((fact, cost))
                self.size_bytes += cost

    def take(self, max_packets: int, now_s: float) -> bytes:
        """The payload of one response; empty if nothing is waiting."""
        taken: list[Fact] = []
        answer_bytes = 0
        while self._facts and len(taken) < max_packets:
            fact, cost = self._facts[0]
            answer_bytes += cost
            if taken and answer_bytes > MAX_ANSWER_BYTES:
                break
            self._facts.popleft()
            self.size_bytes -= cost
            taken.append(fact)
        self.fetched_s = now_s
        return as_payload(taken)

    def facts(self) -> list[Fact]:
        """All of it, for a session that continues over WebSocket."""
        return [fact for fact, _ in self._facts]

    @property
    def is_full(self) -> bool:
        """Whether the client's next packet has to wait for its next poll."""
        return self.size_bytes > FULL_BYTES

    def close_at_s(self, now_s: float) -> float | None:
        """When to check again a client that does not poll; 0: close it now."""
        if self.size_bytes <= BUDGET_BYTES:
            return None
        until_s = self.fetched_s + STALL_S
        return 0.0 if self.size_bytes > MOST_BYTES or now_s >= until_s else until_s


def packets_for(user_agent: str) -> int:
    """How many packets this client accepts in one response. The HTTP libraries of the
    Python clients identify themselves, whatever headers the client sets."""
    is_python = "python" in user_agent.lower()
    return PYTHON_PACKETS if is_python else MAX_PACKETS
