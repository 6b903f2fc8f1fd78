"""The bus: delivers facts to all subscribers, in process.

Called on the loop thread only, after the commit of the fact, in rev order. Subscribers
are plain functions and must not block. It is not a queue: a subscriber that cannot
finish at once must start a task.
"""

import logging
from collections import defaultdict
from collections.abc import Callable
from typing import Any

logger = logging.getLogger(__name__)

Subscriber = Callable[[Any], None]


class Bus:
    """Calls every subscriber of an event's type."""

    def __init__(self) -> None:
        self.subscribers: dict[type, list[Subscriber]] = defaultdict(list)

    def subscribe(self, event_type: type, subscriber: Subscriber) -> None:
        self.subscribers[event_type].append(subscriber)

    def publish(self, event: Any) -> None:
        """Deliver it to all; one failing subscriber does not stop the others."""
        for subscriber in self.subscribers.get(type(event), ()):
            try:
                subscriber(event)
            except Exception:
                logger.exception("a subscriber failed on %s", type(event).__name__)
