"""A bad network: a TCP proxy that cuts, resets, stalls, delays and throttles.

What happens to a connection is drawn from the seed and its number: after how many bytes
it ends, how, and in what pieces and with what delays its bytes travel until then. A cut
falls on any byte: within a frame, a header, a character; or before the first of what
the sender believes to be sent, such as a whole answer.
"""

import asyncio
import random
import socket
import struct
from contextlib import suppress

RESET = struct.pack("ii", 1, 0)  # SO_LINGER 0: close sends RST, unsent bytes are lost
PIECE_BYTES = 64 * 1024
STALL_S = 0.2
WAYS = ("close", "reset", "stall")  # stall: silent for a while, then a reset


class Proxy:
    """Between clients and the server on `to_port`; listens on `port`.

    mean_bytes: about how much a connection carries, both ways, before it is cut.
    is_calm: nothing is cut, delayed or throttled any more.
    """

    def __init__(self, to_port, seed, mean_bytes=4000):
        self.to_port = to_port
        self.seed = seed
        self.mean_bytes = mean_bytes
        self.is_calm = False
        self.connection_count = 0
        self.cut_counts = dict.fromkeys(WAYS, 0)
        self.lines = set()  # tasks, one a connection

    @property
    def cut_count(self):
        return sum(self.cut_counts.values())

    async def start(self):
        self.server = await asyncio.start_server(self.accept, "127.0.0.1", 0)
        self.port = self.server.sockets[0].getsockname()[1]
        return self

    async def stop(self):
        self.server.close()
        for task in self.lines:
            task.cancel()
        await asyncio.gather(*self.lines, return_exceptions=True)

    async def accept(self, reader, writer):
        self.lines.add(asyncio.current_task())
        self.connection_count += 1
        line = Line(self, random.Random(f"{self.seed} {self.connection_count}"))
        try:
            await line.run(reader, writer)
        except asyncio.CancelledError:
            pass  # the proxy stops
        finally:
            self.lines.discard(asyncio.current_task())


class Line:
    """One connection and its fate."""

    def __init__(self, proxy, dice):
        self.proxy = proxy
        self.dice = dice
        self.budget = 1 + int(dice.expovariate(1 / proxy.mean_bytes))
        self.way = dice.choice(WAYS)
        self.piece_bytes = dice.choice([1, 7, 100, 1000, PIECE_BYTES, PIECE_BYTES])
        self.delay_s = dice.choice([0, 0, 0, 0.001, 0.005])
        self.loses_last = dice.random() < 0.5  # what it was cut in
        self.is_cut = asyncio.Event()

    async def run(self, reader, writer):
        ends = [writer]
        try:
            to_port = self.proxy.to_port
            far_reader, far_writer = await asyncio.open_connection("127.0.0.1", to_port)
            ends.append(far_writer)
            both = [self.pass_on(reader, far_writer), self.pass_on(far_reader, writer)]
            tasks = [asyncio.ensure_future(one) for one in [*both, self.is_cut.wait()]]
            try:
                await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            finally:
                for task in tasks:
                    task.cancel()
                await asyncio.gather(*tasks, return_exceptions=True)
            if self.is_cut.is_set():
                await self.cut(ends)
        except OSError:
            pass  # the server is away
        finally:
            for end in ends:
                end.close()

    async def pass_on(self, reader, writer):
        with suppress(OSError):
            while data := await reader.read(PIECE_BYTES):
                while data:
                    piece, data = self.split(data)
                    is_last = self.budget <= 0
                    if not (is_last and self.loses_last):
                        writer.write(piece)
                        await writer.drain()
                    if is_last:
                        self.is_cut.set()
                        return
                    if self.delay_s and not self.proxy.is_calm:
                        await asyncio.sleep(self.delay_s * self.dice.random())

    def split(self, data):
        """What is sent in one go, and the rest."""
        if self.proxy.is_calm:
            self.budget = PIECE_BYTES
            return data, b""
        length = min(self.piece_bytes, self.budget, len(data))
        self.budget -= length
        return data[:length], data[length:]

    async def cut(self, ends):
        self.proxy.cut_counts[self.way] += 1
        if self.way == "stall":
            await asyncio.sleep(STALL_S * self.dice.random())
        if self.way != "close":
            for end in ends:
                sock = end.get_extra_info("socket")
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
                end.transport.abort()
