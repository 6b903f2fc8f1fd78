"""HTTP and WebSocket by hand, for what no library's client would send."""

import asyncio
import base64
import json
import os
import struct

PATIENCE_S = 30  # for what must come; how long it takes is no matter
TEXT, BINARY, CLOSE, PING, PONG = 0x1, 0x2, 0x8, 0x9, 0xA


def masked_frame(payload, opcode=TEXT, *, fin=True, mask=True, bits=0):
    """One frame as a client sends it; mask=False and bits make it a wrong one."""
    first = (0x80 if fin else 0) | bits | opcode
    flag = 0x80 if mask else 0
    size = len(payload)
    if size < 126:
        head = struct.pack("!BB", first, flag | size)
    elif size < 65536:
        head = struct.pack("!BBH", first, flag | 126, size)
    else:
        head = struct.pack("!BBQ", first, flag | 127, size)
    if not mask:
        return head + payload
    key = os.urandom(4)
    pad = (key * (size // 4 + 1))[:size]
    return head + key + bytes(a ^ b for a, b in zip(payload, pad, strict=True))


class Raw:
    """One TCP connection. `status` and `headers` are of the last answer."""

    def __init__(self, reader, writer):
        self.reader, self.writer = reader, writer
        self.status, self.headers, self.body = 0, {}, b""

    @classmethod
    async def open(cls, port, **options):
        return cls(*await asyncio.open_connection("127.0.0.1", port, **options))

    def write(self, data):
        self.writer.write(data)

    def close(self):
        self.writer.close()

    # --- HTTP ------------------------------------------------------------------------

    async def request(self, method, path, headers=None, body=b"", *, host=None):
        lines = [f"{method} {path} HTTP/1.1", f"Host: {host or '127.0.0.1'}"]
        if body or method == "POST":
            lines.append(f"Content-Length: {len(body)}")
        lines += [f"{name}: {value}" for name, value in (headers or {}).items()]
        self.write("\r\n".join([*lines, "", ""]).encode() + body)
        return await self.answer()

    async def answer(self):
        """Read one answer; the body only of one that says how long it is."""
        async with asyncio.timeout(PATIENCE_S):
            head = (await self.reader.readuntil(b"\r\n\r\n")).decode()
            first, *lines = head.strip().split("\r\n")
            self.status = int(first.split()[1])
            pairs = (line.split(": ", 1) for line in lines)
            self.headers = {name.lower(): value for name, value in pairs}
            length = int(self.headers.get("content-length", 0))
            self.body = await self.reader.readexactly(length)
        return self.status

    @property
    def json(self):
        return json.loads(self.body)

    # --- WebSocket -------------------------------------------------------------------

    async def upgrade(self, path, headers=None, *, host=None):
        """Ask for a WebSocket; returns the status, 101 if it was opened."""
        wanted = {
            "Upgrade": "websocket",
            "Connection": "Upgrade",
            "Sec-WebSocket-Version": "13",
            "Sec-WebSocket-Key": base64.b64encode(os.urandom(16)).decode(),
        } | (headers or {})
        wanted = {name: value for name, value in wanted.items() if value is not None}
        return await self.request("GET", path, wanted, host=host)

    def send(self, message, **options):
        opcode = BINARY if isinstance(message, bytes) else TEXT
        data = message if isinstance(message, bytes) else message.encode()
        self.write(masked_frame(data, options.pop("opcode", opcode), **options))

    async def frame(self):
        """(opcode, payload) of the next frame; (None, b"") at the end."""
        async with asyncio.timeout(PATIENCE_S):
            try:
                first, size = await self.reader.readexactly(2)
                if size >= 126:
                    width = 2 if size == 126 else 8
                    size = int.from_bytes(await self.reader.readexactly(width), "big")
                return first & 0x0F, await self.reader.readexactly(size)
            except (asyncio.IncompleteReadError, ConnectionError):
                return None, b""

    @property
    def is_more_here(self):
        """Whether more came together with what was read last."""
        return bool(self.reader._buffer)

    async def text(self):
        """The next text message; pings of Engine.IO are answered and left out."""
        while True:
            opcode, payload = await self.frame()
            if opcode == TEXT and payload == b"2":
                self.send("3")
            elif opcode == BINARY:
                return payload
            else:
                assert opcode == TEXT, (opcode, payload)
                return payload.decode()

    async def close_code(self):
        """Read to the close frame and return its code; None: there was none."""
        while True:
            opcode, payload = await self.frame()
            if opcode == CLOSE:
                return int.from_bytes(payload[:2], "big")
            if opcode is None:
                return None

    async def is_ended(self):
        """Whether the other side hangs up."""
        async with asyncio.timeout(PATIENCE_S):
            try:
                while await self.reader.read(65536):
                    pass
            except ConnectionError:
                pass
        return True
