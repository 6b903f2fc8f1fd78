"""What every core function receives: the parts it may use, and no globals."""

from collections.abc import Callable, Collection
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

from hai import ids
from hai.bus import Bus
from hai.cache import Cache
from hai.config import Config
from hai.core.picture_cache import PictureCache
from hai.core.presence import Presence
from hai.core.read_budget import ReadBudget
from hai.core.turns import Turns
from hai.storage.database import Database


@dataclass(slots=True)
class Core:
    """Created once by app.py.

    executor: for CPU-bound work (password hashes, bots): two threads.
    read_budget: the cost of users' reads (core/read_budget.py).
    set_up_token: lets its holder create the first owner; printed at the start.
    url: the server's address while it is running.
    hashes_waiting: passwords in the executor now (core/identity/passwords.py).
    unread: for uploads between two requests, by token hash: (offset, the last bytes
    that their readers have not parsed yet) (core/pictures/resumable.py).
    picture_cache: small pictures that were served recently.
    live_session_ids: of the sockets that are open; set by the edge that has them.
    turns: long work on the loop, a slice at a time (core/turns.py).
    confinement: what decoders are denied here; None: not known yet
    (core/pictures/decoders.py).
    cache: hais and pages that were read recently; checked by whoever takes one.
    """

    config: Config
    db: Database
    bus: Bus
    presence: Presence
    executor: ThreadPoolExecutor
    read_budget: ReadBudget
    set_up_token: str = field(default_factory=ids.new_token)
    url: str = ""
    hashes_waiting: int = 0
    unread: dict[bytes, tuple[int, bytes]] = field(default_factory=dict)
    picture_cache: PictureCache = field(default_factory=PictureCache)
    turns: Turns = field(default_factory=Turns)
    confinement: dict[str, bool] | None = None
    live_session_ids: Callable[[], Collection[int]] = tuple
    cache: Cache = field(init=False)

    def __post_init__(self) -> None:
        self.cache = Cache(self.config.cache_bytes)
