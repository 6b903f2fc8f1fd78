"""The bus: facts go out to whoever subscribed, in process.

Called on the loop thread only, after the commit that made the fact true, in
the order of revs. Subscribers are plain functions and must not block. It is
no queue: what a subscriber cannot do at once it must hand to a task.
"""

import logging
from collections import defaultdict
from collections.abc import Callable
from typing import Any

logger = logging.getLogger(__name__)

Subscriber = Callable[[Any], None]


class Bus:
    """Tells every subscriber of an event's type."""

    def __init__(self) -> None:
        self.subscribers: dict[type, list[Subscriber]] = defaultdict(list)

    def subscribe(self, event_type: type, subscriber: Subscriber) -> None:
        self.subscribers[event_type].append(subscriber)

    def publish(self, event: Any) -> None:
        """Tell it to all; one bad subscriber does not stop the others."""
        for subscriber in self.subscribers.get(type(event), ()):
            try:
                subscriber(event)
            except Exception:
                logger.exception("a subscriber failed on %s", type(event).__name__)
