"""A line between browser and server that can be cut, frozen and slowed."""

import asyncio
import random
import threading

BITE_BYTES = 2048


class Proxy:
    """Listens on a port of its own, on a thread of its own, until `stop`.

    Its functions may be called from the test's thread. What it does at random it
    does from a seed.
    """

    def __init__(self, target_port, seed=1):
        self.target_port = target_port
        self.random = random.Random(seed)
        self.writers = set()  # all ends of the lines that are up
        self.is_frozen = False  # existing lines carry nothing, and do not say so
        self.cuts_left = 0  # lines still to be cut at a random byte
        self.cut_count = 0
        self.delay_s = 0.0
        self.lost_words = None  # bytes of an answer that is to be lost on the way
        self.loop = asyncio.new_event_loop()
        self.thread = threading.Thread(target=self.loop.run_forever, daemon=True)
        self.thread.start()
        self.server = self._run(asyncio.start_server(self._carry, "127.0.0.1", 0))
        port = self.server.sockets[0].getsockname()[1]
        self.url = f"http://127.0.0.1:{port}"

    def _run(self, work):
        return asyncio.run_coroutine_threadsafe(work, self.loop).result(20)

    def cut(self):
        """Reset every line there is."""
        self.loop.call_soon_threadsafe(self._cut_all)

    def _cut_all(self):
        for writer in list(self.writers):
            writer.transport.abort()

    def freeze(self):
        """What is open now goes silent; new lines work."""
        frozen = set(self.writers)
        self.frozen = frozen
        self.is_frozen = True

    def lose(self, words):
        """The next answer with these bytes does not arrive, and its line breaks."""
        self.lost_words = words

    def stop(self):
        self._run(self._stop())
        self.loop.call_soon_threadsafe(self.loop.stop)
        self.thread.join(20)
        self.loop.close()

    async def _stop(self):
        self.server.close()
        self._cut_all()
        tasks = asyncio.all_tasks() - {asyncio.current_task()}
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _carry(self, reader, writer):
        try:
            there = await asyncio.open_connection("127.0.0.1", self.target_port)
        except OSError:
            writer.transport.abort()
            return
        ends = (writer, there[1])
        self.writers.update(ends)
        # The byte at which this line breaks, if it is one of those that do.
        budget = [self.random.randint(1, 12_000) if self.cuts_left > 0 else None]
        ways = (
            self._copy(reader, ends, 1, budget),
            self._copy(there[0], ends, 0, budget),
        )
        await asyncio.gather(*ways)
        self.writers.difference_update(ends)

    async def _copy(self, reader, ends, to, budget):
        try:
            while bite := await reader.read(BITE_BYTES):
                if self.delay_s:
                    await asyncio.sleep(self.random.random() * self.delay_s)
                if self.is_frozen and ends[0] in self.frozen:
                    continue
                if to == 0 and self._loses(bite):
                    budget[0] = 0
                    break
                if budget[0] is not None and self._breaks(len(bite), budget):
                    ends[to].write(bite[: self.random.randint(0, len(bite))])
                    break
                ends[to].write(bite)
                await ends[to].drain()
        except OSError:
            pass
        for end in ends:
            end.transport.abort() if budget[0] == 0 else end.close()

    def _loses(self, bite):
        is_lost = self.lost_words is not None and self.lost_words in bite
        if is_lost:
            self.lost_words = None
        return is_lost

    def _breaks(self, count, budget):
        budget[0] = max(0, budget[0] - count)
        if budget[0] or self.cuts_left <= 0:
            return False
        self.cuts_left -= 1
        self.cut_count += 1
        return True
