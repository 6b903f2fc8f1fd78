"""What every core function is given: the parts it may use, and no globals."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

from hai import ids
from hai.bus import Bus
from hai.config import Config
from hai.core.picture_cache import PictureCache
from hai.core.presence import Presence
from hai.core.read_budget import ReadBudget
from hai.core.turns import Turns
from hai.storage.database import Database


@dataclass(slots=True)
class Core:
    """Made once by app.py.

    executor: for work that burns CPU (password hashes, bots): two threads.
    read_budget: what people's reads have cost (core/read_budget.py).
    set_up_token: lets a stranger make the first owner; printed at the start.
    url: where it serves, while it does.
    hashes_waiting: passwords at the executor now (core/identity/passwords.py).
    unread: of uploads between two requests, by token hash: (from where, the last
    bytes that their readers have not understood yet) (core/pictures/resumable.py).
    picture_cache: small pictures that were served just now.
    turns: what takes long on the loop, a slice at a time (core/turns.py).
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
