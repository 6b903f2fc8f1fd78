"""What a polling session has not fetched yet: packets, oldest first.

A poll takes from the front as much as one answer may hold, so that a session with
thousands of packets waiting costs the same per packet as one with two. A session is
judged by what is waiting, and by when the client last fetched something: it has a
WebSocket's budget, and a moment more where that is full between two polls. What a
packet really costs is counted, not only its bytes.
"""

from collections import deque

from hai.realtime.wire.outbox import (
    Fact,
    Pending,
    as_payload,
)
from hai.realtime.wire.websocket import BUDGET_BYTES, PATIENCE_S

FACT_BYTES = 300  # of a packet that waits, besides its own: objects and places
# Over the budget only for as long as polls may be apart, and never this much.
MOST_BYTES = 2 * BUDGET_BYTES
# Above this a client's own packets wait for its next poll: one page (128 KiB) more
# still fits.
FULL_BYTES = MOST_BYTES - 160 * 1024
MAX_ANSWER_BYTES = 128 * 1024  # at least one packet, whatever its size
# python-engineio refuses an answer with more packets and drops all of them. Others
# take what comes: a member 100 ms away then follows as many facts as there are.
PYTHON_PACKETS = 16
MAX_PACKETS = 1000


class Backlog:
    """`add` what was told; `take` the payload of the next answer."""

    __slots__ = ("_facts", "fetched_s", "size_bytes")

    def __init__(self, now_s: float) -> None:
        self._facts: deque[tuple[Fact, int]] = deque()  # with what each costs
        self.size_bytes = 0
        self.fetched_s = now_s  # when the client last took something

    def __bool__(self) -> bool:
        return bool(self._facts)

    def add(self, place: Pending) -> None:
        """Everything up to this place; cancelled facts are left out."""
        for fact in place.facts():
            if fact.body:
                cost = len(fact.prefix) + len(fact.body) + FACT_BYTES
                self._facts.append((fact, cost))
                self.size_bytes += cost

    def take(self, max_packets: int, now_s: float) -> bytes:
        """The payload of one answer; empty if nothing is waiting."""
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
        """All of it, for a session that goes on over WebSocket."""
        return [fact for fact, _ in self._facts]

    @property
    def is_full(self) -> bool:
        """Whether the client's next packet has to wait for its next poll."""
        return self.size_bytes > FULL_BYTES

    def verdict_s(self, now_s: float) -> float | None:
        """When to look again at a client that does not poll; 0: its time is over."""
        if self.size_bytes <= BUDGET_BYTES:
            return None
        until_s = self.fetched_s + PATIENCE_S
        return 0.0 if self.size_bytes > MOST_BYTES or now_s >= until_s else until_s


def packets_for(user_agent: str) -> int:
    """How many packets this client takes in one answer. What sends the Python
    clients' requests names itself, whatever the client's own headers were."""
    is_python = "python" in user_agent.lower()
    return PYTHON_PACKETS if is_python else MAX_PACKETS
