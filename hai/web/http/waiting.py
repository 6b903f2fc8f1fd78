"""Connections that hold a descriptor and do nothing with it: whose end is no loss.

An address has a share of them, since whoever opens many keeps others out. Where there
are too many of one address, or descriptors are short, the one that has waited longest
goes first.
"""

from collections.abc import Callable, Iterator
from typing import Any, Generic, TypeVar

from hai.core.origin import address_block

T = TypeVar("T")


class Waiting(Generic[T]):
    """Those that wait, oldest first. close(one): ends it, at once or soon.

    share: how many one address (an IPv6 /64) may have; None: as many as come.
    """

    def __init__(self, close: Callable[[T], Any], share: int | None = None) -> None:
        self._close = close
        self._share = share
        self._all: dict[T, str] = {}  # -> its block; dicts keep their order
        self._by_block: dict[str, dict[T, None]] = {}

    def __len__(self) -> int:
        return len(self._all)

    def __iter__(self) -> Iterator[T]:
        return iter(tuple(self._all))

    def add(self, one: T, address: str = "") -> None:
        """It waits from now on; the oldest of its address may have to go for it."""
        block = address_block(address) if self._share is not None else ""
        self._all[one] = block
        here = self._by_block.setdefault(block, {})
        here[one] = None
        if self._share is not None and len(here) > self._share:
            self._end(next(iter(here)))

    def discard(self, one: T) -> None:
        """It waits no more; also when it was ended here."""
        block = self._all.pop(one, None)
        if block is None:
            return
        here = self._by_block[block]
        del here[one]
        if not here:
            del self._by_block[block]

    def close_oldest(self) -> bool:
        """False: none waits."""
        for oldest in self._all:
            self._end(oldest)
            return True
        return False

    def _end(self, one: T) -> None:
        self.discard(one)
        self._close(one)
