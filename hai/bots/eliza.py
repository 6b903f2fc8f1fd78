"""Eliza, the built-in bot: NLTK's psychotherapist, made safe for untrusted input.

The patterns and answers are NLTK's public `pairs` and `reflections`. NLTK's own `Chat`
puts the user's words into an answer and then looks for `%` in the result, including in
those words: "I need %1" never ends, "I am 100%" raises. Ours replaces each wildcard
once. No text makes `answer` hang or raise; long ones are cut.

NLTK is loaded at the first message, in the thread that answers it. Importing `nltk`
runs its `__init__`, which pulls in parsers, taggers and corpora: 170 ms and 32 MiB, of
which Eliza uses two modules. Only those two are loaded, in 20 ms and 2 MiB (see
`_import_alone`).
"""

import contextlib
import importlib
import importlib.util
import logging
import re
import sys
import threading
from collections.abc import Iterator
from typing import Any

from hai import clock
from hai.bots.threads import Threads, TooManyThreads
from hai.shapes import HaiObject, RoomObject

logger = logging.getLogger(__name__)

MAX_CHARS = 1000  # an answer repeats what was said, and is a hai itself
LATE_S = 5.0  # after a longer pause people think the conversation is over
GIVE_UP_S = 60.0  # below the dispatcher's, so that Eliza can say so herself

SILENCE = "Take your time. I am listening."
PICTURE = "What does this picture mean to you?"
TIRED = "I am a little tired. Let us go on in a moment."
WILDCARD = re.compile(r"%(\d)")


class Eliza:
    """A bot like any other (base.py), also used by the namespace /eliza."""

    name = "eliza"
    display_name = "Eliza"

    def __init__(self, *, late_s: float = LATE_S, give_up_s: float = GIVE_UP_S) -> None:
        self.threads = Threads("eliza", late_s=late_s, give_up_s=give_up_s)
        self.chat: Any = None
        self.loading = threading.Lock()

    async def reply(self, hai: HaiObject, room: RoomObject) -> str | None:
        if hai["pictures"] and not hai["text"].strip():
            return PICTURE
        return await self.reply_to(hai["user_id"], hai["text"])

    async def reply_to(self, user_key: object, text: str) -> str:
        """Exactly one answer, whatever the text. Loop thread; never raises.

        It takes 0.1 ms, or as long as the machine makes her wait; only after a minute
        is it considered stuck.

        user_key: who is asking; she treats everybody alike.
        """
        try:
            return str(await self.threads.run(self.answer, text))
        except TimeoutError:
            logger.warning("Eliza found no answer in %s s", self.threads.give_up_s)
        except TooManyThreads:
            logger.warning("Eliza found no answer: all her threads hang")
        except Exception:
            logger.exception("Eliza failed")
        return TIRED

    def answer(self, text: str) -> str:
        """Her answer to this text. From any thread; blocks while NLTK is loaded."""
        said = " ".join(text[:MAX_CHARS].split()).rstrip("!. ")
        if not said:
            return SILENCE
        with self.loading:
            if self.chat is None:
                began_s = clock.monotonic_s()
                self.chat = _load_chat()
                took_s = clock.monotonic_s() - began_s
                logger.info("NLTK was loaded in %.2f s", took_s)
        return str(self.chat.respond(said) or SILENCE)


def _load_chat() -> Any:
    with _import_alone("nltk", "nltk.chat"):
        util = importlib.import_module("nltk.chat.util")
        eliza = importlib.import_module("nltk.chat.eliza")

    class OnePassChat(util.Chat):  # type: ignore[name-defined, misc]  # no types
        """NLTK's Chat, but each wildcard and each word is replaced only once."""

        def _wildcards(self, response: str, match: re.Match[str]) -> str:
            return WILDCARD.sub(
                lambda found: self._substitute(match[int(found[1])] or ""), response
            )

        def _substitute(self, words: str) -> str:
            # The Turkish dotless i matches the pattern "i" but is not a key of the
            # reflections: NLTK's own code raises KeyError.
            return str(
                self._regex.sub(
                    lambda found: self._reflections.get(found[0], found[0]),
                    words.lower(),
                )
            )

    return OnePassChat(eliza.pairs, util.reflections)


@contextlib.contextmanager
def _import_alone(*packages: str) -> Iterator[None]:
    """Import modules of these packages without running the packages' `__init__`.

    Within this context each package is in `sys.modules` as the empty module that the
    import system creates for it: its path is known, its code has not run. Afterwards
    all of them are removed again, so a later `import nltk` anywhere gets the real
    package; the loaded modules live on where they are referenced.
    """
    before = set(sys.modules)
    if not before.isdisjoint(packages):  # the real one is already imported: use it
        yield
        return
    try:
        for name in packages:
            spec = importlib.util.find_spec(name)
            if spec is None:
                raise ModuleNotFoundError(f"No module named {name!r}", name=name)
            sys.modules[name] = importlib.util.module_from_spec(spec)
        yield
    finally:
        for name in set(sys.modules) - before:
            if name.split(".")[0] == packages[0].split(".")[0]:
                del sys.modules[name]
