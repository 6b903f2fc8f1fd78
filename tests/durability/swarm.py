"""Many small clients in one loop: raw sockets, standard library only.

`NativeClient` speaks /ws, `SocketIoClient` Socket.IO over a WebSocket, `PollingClient`
over plain HTTP, `UpgradingClient` from one to the other. All have `order`, which waits
for the ack, and tell each fact to `hear(name, payload)`; `ApiClient` hears no facts.
They do the protocol's minimum and check nothing: ten times cheaper than a real client,
so that a hundred of them leave the processor to the server.
"""

import asyncio
import base64
import json
import os
import struct
from contextlib import suppress

PATIENCE_S = 60
MASK = b"\0\0\0\0"  # a mask that changes nothing is still a mask


class Gone(ConnectionError):
    """The connection ended; `code` is the WebSocket's, where one was told."""

    code = None


def frame(data, opcode=1):
    """One masked WebSocket frame."""
    if len(data) < 126:
        head = struct.pack("!BB", 0x80 | opcode, 0x80 | len(data))
    elif len(data) < 65536:
        head = struct.pack("!BBH", 0x80 | opcode, 0x80 | 126, len(data))
    else:
        head = struct.pack("!BBQ", 0x80 | opcode, 0x80 | 127, len(data))
    return head + MASK + data


async def read_frame(reader):
    """(opcode, data) of the next frame; the server's are whole and unmasked."""
    first, length = await reader.readexactly(2)
    if length == 126:
        length = struct.unpack("!H", await reader.readexactly(2))[0]
    elif length == 127:
        length = struct.unpack("!Q", await reader.readexactly(8))[0]
    return first & 15, await reader.readexactly(length)


class SwarmClient:
    """What all transports share: ids, acks, and the task that reads."""

    def __init__(self, port, token, hear=None):
        self.port = port
        self.token = token
        self.hear = hear or (lambda name, payload: None)
        self.acks = {}  # id -> future
        self.next_id = 0
        self.close_code = None
        self.was_told = False  # that the server restarts: 1012, or CLOSE to a poll
        self.closed = asyncio.Event()
        self.reading = None
        self.writer = None

    async def start(self):
        try:
            await self.open()
        except (OSError, asyncio.IncompleteReadError) as error:
            self.hang_up()
            raise Gone(str(error)) from error
        self.reading = asyncio.create_task(self.read())
        return self

    async def read(self):
        try:
            await self.read_all()
        except (OSError, asyncio.IncompleteReadError):
            pass
        finally:
            self.hang_up()
            self.closed.set()
            waiting, self.acks = self.acks, {}
            for future in waiting.values():
                fail(future)

    async def order(self, name, payload):
        """Send an order and return its ack. Raises Gone."""
        return await self.start_order(name, payload)

    def start_order(self, name, payload):
        """Send an order at once; return the future of its ack."""
        future = asyncio.get_running_loop().create_future()
        if self.closed.is_set() or (self.writer and self.writer.is_closing()):
            return fail(future)
        self.next_id += 1
        self.acks[self.next_id] = future
        self.send_order(self.next_id, name, payload)
        return future

    def acked(self, order_id, ack):
        future = self.acks.pop(order_id, None)
        if future and not future.done():
            future.set_result(ack)

    async def stop(self):
        self.hang_up()
        if self.reading:
            self.reading.cancel()
            await asyncio.gather(self.reading, return_exceptions=True)

    # --- WebSocket -------------------------------------------------------------------

    async def open_web_socket(self, path):
        self.reader, self.writer = await asyncio.open_connection("127.0.0.1", self.port)
        key = base64.b64encode(os.urandom(16)).decode()
        self.writer.write(
            f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1:{self.port}\r\n"
            "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
            f"Sec-WebSocket-Key: {key}\r\nAuthorization: Bearer {self.token}\r\n"
            "\r\n".encode()
        )
        try:
            answer = await self.reader.readuntil(b"\r\n\r\n")
        except asyncio.IncompleteReadError:
            raise Gone() from None
        if b" 101 " not in answer.split(b"\r\n")[0]:
            raise Gone(answer.decode().split("\r\n")[0])

    async def read_texts(self):
        """Yield the text of each frame; answer pings; end at a close."""
        while True:
            opcode, data = await read_frame(self.reader)
            if opcode == 1:
                yield data.decode()
            elif opcode == 9:
                self.writer.write(frame(data, 10))
            elif opcode == 8:
                self.close_code = struct.unpack("!H", data[:2])[0] if data else 1005
                self.was_told = self.close_code == 1012
                with suppress(OSError):
                    self.writer.write(frame(data[:2], 8))
                return

    def send_text(self, text):
        self.writer.write(frame(text.encode()))

    def hang_up(self):
        if self.writer:
            self.writer.close()


class NativeClient(SwarmClient):
    """/ws: JSON arrays."""

    async def open(self):
        await self.open_web_socket("/ws")

    def send_order(self, order_id, name, payload):
        self.send_text(json.dumps([name, payload, order_id]))

    async def read_all(self):
        async for text in self.read_texts():
            name, *rest = json.loads(text)
            if name == "ack":
                self.acked(*rest)
            else:
                self.hear(name, *rest)


class SocketIoClient(SwarmClient):
    """Socket.IO over a WebSocket from the start."""

    async def open(self):
        await self.open_web_socket("/socket.io/?EIO=4&transport=websocket")
        self.texts = self.read_texts()
        await anext(self.texts)  # 0{sid...}
        self.send_text("40")
        while not (text := await anext(self.texts)).startswith("40"):
            self.take(text)

    def send_order(self, order_id, name, payload):
        self.send_packet(f"42{order_id}{json.dumps([name, payload])}")

    def send_packet(self, packet):
        self.send_text(packet)

    async def read_all(self):
        async for text in self.texts:
            self.take(text)

    def take(self, packet):
        if packet == "2":
            self.send_packet("3")
        elif packet.startswith("42"):
            self.hear(*json.loads(packet[2:]))
        elif packet.startswith("43"):
            order_id, bracket, rest = packet[2:].partition("[")
            self.acked(int(order_id), json.loads(bracket + rest)[0])


class PollingClient(SocketIoClient):
    """Socket.IO over HTTP alone: one connection asks, another one tells."""

    async def open(self):
        self.asking, self.telling = self.connection(), self.connection()
        self.path = "/socket.io/?EIO=4&transport=polling"
        opened = await self.asking.ask("GET", self.path)
        self.sid = json.loads(opened[1:])["sid"]
        self.path += f"&sid={self.sid}"
        self.unsent = []
        self.sending = None
        await self.telling.ask("POST", self.path, b"40")

    def send_packet(self, packet):
        self.unsent.append(packet)
        if self.sending is None or self.sending.done():
            self.sending = asyncio.create_task(self.send_all())

    async def send_all(self):
        """At most 16 packets in one request, as the protocol's servers expect."""
        with suppress(OSError, asyncio.IncompleteReadError):
            while packets := self.unsent[:16]:
                del self.unsent[:16]
                await self.telling.ask("POST", self.path, "\x1e".join(packets).encode())

    async def read_all(self):
        while True:
            answer = await self.asking.ask("GET", self.path)
            for packet in answer.decode().split("\x1e"):
                if packet == "1":
                    self.was_told = True
                    return
                self.take(packet)

    def connection(self):
        return Http(self.port, self.token)

    def hang_up(self):
        self.asking.close()
        self.telling.close()


class UpgradingClient(PollingClient):
    """Begins with polling and goes over to a WebSocket, as browsers do."""

    is_upgraded = False

    async def open(self):
        await super().open()
        await self.open_web_socket(
            f"/socket.io/?EIO=4&transport=websocket&sid={self.sid}"
        )
        self.texts = self.read_texts()

    async def read_all(self):
        self.send_text("2probe")
        probing = asyncio.create_task(anext(self.texts))
        try:
            while not probing.done():
                answer = await self.asking.ask("GET", self.path)
                for packet in answer.decode().split("\x1e"):
                    self.take(packet)
        finally:
            probing.cancel()
            (told,) = await asyncio.gather(probing, return_exceptions=True)
        if told != "3probe":
            raise Gone()
        if self.sending:
            await self.sending
        self.is_upgraded = True
        self.send_text("5")
        async for text in self.texts:
            self.take(text)

    def send_packet(self, packet):
        if self.is_upgraded:
            self.send_text(packet)
        else:
            super().send_packet(packet)

    def hang_up(self):
        super().hang_up()
        if self.writer:
            self.writer.close()


class Http:
    """One kept connection. Raises Gone when the answer is no success."""

    def __init__(self, port, token):
        self.port = port
        self.token = token
        self.writer = None

    async def ask(self, method, path, body=b"", kind="text/plain;charset=UTF-8"):
        if self.writer is None:
            opened = await asyncio.open_connection("127.0.0.1", self.port)
            self.reader, self.writer = opened
        length = f"Content-Length: {len(body)}\r\nContent-Type: {kind}\r\n"
        self.writer.write(
            f"{method} {path} HTTP/1.1\r\nHost: 127.0.0.1:{self.port}\r\n"
            f"{self.credentials()}Accept: application/json\r\n"
            f"{length if method == 'POST' else ''}\r\n".encode()
            + body
        )
        head = (await self.reader.readuntil(b"\r\n\r\n")).decode()
        answer = await self.reader.readexactly(length_of(head))
        if head.split(" ")[1] not in ("200", "201"):
            raise Gone(head.split("\r\n")[0] + answer.decode(errors="replace"))
        return answer

    def credentials(self):
        """A stranger has no token."""
        return f"Authorization: Bearer {self.token}\r\n" if self.token else ""

    def close(self):
        if self.writer:
            self.writer.close()


class ApiClient:
    """Each order is a request of its own on /api/v1; there is nothing to open."""

    def __init__(self, port, token):
        self.port = port
        self.token = token
        self.closed = asyncio.Event()
        self.open = set()

    async def start(self):
        return self

    def start_order(self, name, payload):
        """`send_hai` only; "picture" in the payload is a PNG's bytes. Raises Gone."""
        assert name == "send_hai"
        return asyncio.ensure_future(self.send(dict(payload)))

    async def send(self, payload):
        http = Http(self.port, self.token)
        self.open.add(http)
        room_id, picture = payload.pop("room_id"), payload.pop("picture", None)
        body, kind = json.dumps(payload).encode(), "application/json"
        if picture:
            body, kind = multipart(payload, "p.png", picture)
        try:
            path = f"/api/v1/rooms/{room_id}/hais"
            return json.loads(await http.ask("POST", path, body, kind))
        except asyncio.IncompleteReadError as error:
            raise Gone() from error
        finally:
            self.open.discard(http)
            http.close()

    def hang_up(self):
        for http in self.open:
            http.close()

    async def stop(self):
        self.hang_up()


def length_of(head):
    for line in head.split("\r\n"):
        name, _, value = line.partition(":")
        if name.lower() == "content-length":
            return int(value)
    return 0


async def upload(http, room_id, name, data):
    """Upload one picture; return its object. Raises Gone."""
    body, kind = multipart({}, name, data)
    answer = await http.ask("POST", f"/rooms/{room_id}/pictures", body, kind)
    return json.loads(answer)["pictures"][0]


def multipart(fields, name, data):
    """(body, content type) of a form with one picture."""
    boundary, disposition = "--------swarm", "Content-Disposition: form-data; name="
    parts = [
        f'--{boundary}\r\n{disposition}"{field}"\r\n\r\n{value}\r\n'.encode()
        for field, value in fields.items()
    ]
    head = f'--{boundary}\r\n{disposition}"picture"; filename="{name}"\r\n'
    parts += [head.encode(), b"Content-Type: image/png\r\n\r\n", data]
    parts.append(f"\r\n--{boundary}--\r\n".encode())
    return b"".join(parts), f"multipart/form-data; boundary={boundary}"


def fail(future):
    """Let it raise Gone, and nobody complain when nobody asks."""
    if not future.done():
        future.set_exception(Gone())
        future.exception()
    return future


def run(scene):
    """Run a coroutine to its end, and until the last sockets are closed."""

    async def whole():
        try:
            return await scene
        finally:
            await asyncio.sleep(0.05)

    return asyncio.run(whole())


CLIENTS = (NativeClient, SocketIoClient, PollingClient, UpgradingClient)
