"""Clients of a Hai server as tests use them: HTTP, Socket.IO and /ws.

The two sockets have the same methods, so that one test can run over every transport:
`order` sends and waits for the ack, `fact` waits for the next fact of a name, `facts`
lists what was heard, `settle` waits until all that was told before it has been heard.
"""

import asyncio
import json
from http.cookies import SimpleCookie
from urllib.parse import urlencode

import socketio
from tornado.httpclient import AsyncHTTPClient, HTTPRequest
from tornado.websocket import websocket_connect

PATIENCE_S = 30  # how long a test waits for what must come
COOKIE = "hai_session"


class Answer:
    """An HTTP answer: status, headers, body, and text and json made from it."""

    def __init__(self, response):
        self.status = response.code
        self.headers = response.headers
        self.body = response.body or b""

    @property
    def text(self):
        return self.body.decode()

    @property
    def json(self):
        return json.loads(self.body)

    @property
    def code(self):
        """The error code of a refused request."""
        return self.json["error"]["code"]

    @property
    def location(self):
        return self.headers.get("Location")


class Client:
    """An HTTP client that is one browser or one program.

    token: sent as a bearer token; cookie: a session's token, kept as a browser
    would, together with what the server sets. Redirects are not followed.
    """

    def __init__(self, url, *, token=None, cookie=None):
        self.url = url
        self.token = token
        self.cookies = {COOKIE: cookie} if cookie else {}
        self.http = AsyncHTTPClient(force_instance=True)

    async def get(self, path, **options):
        return await self.request("GET", path, **options)

    async def post(self, path, **options):
        return await self.request("POST", path, **options)

    async def request(
        self, method, path, *, json=None, form=None, files=None, body=None, headers=None
    ):
        """Ask for a path.

        json: an object. form: fields, sent urlencoded, or as multipart where there
        are files: a list of (field, file name, type, bytes). body: raw bytes.
        """
        headers = {**credentials(self.token, self.cookies), **(headers or {})}
        if json is not None:
            body, kind = encode_json(json), "application/json"
            headers.setdefault("Accept", "application/json")
        elif files is not None:
            body, kind = encode_multipart(form or {}, files)
        elif form is not None:
            body, kind = urlencode(form).encode(), "application/x-www-form-urlencoded"
        else:
            kind = None
        if kind:
            headers.setdefault("Content-Type", kind)
        if body is None and method in ("POST", "PUT", "PATCH"):
            body = b""
        request = HTTPRequest(
            self.url + path,
            method=method,
            headers=headers,
            body=body,
            follow_redirects=False,
            allow_nonstandard_methods=True,
            request_timeout=PATIENCE_S * 2,
        )
        response = await self.http.fetch(request, raise_error=False)
        if response.code == 599:  # Tornado's own: no answer came at all
            raise ConnectionError(str(response.error)) from response.error
        self.keep_cookies(response)
        return Answer(response)

    def keep_cookies(self, response):
        for line in response.headers.get_list("Set-Cookie"):
            for name, morsel in SimpleCookie(line).items():
                if morsel.value:
                    self.cookies[name] = morsel.value
                else:
                    self.cookies.pop(name, None)

    def close(self):
        self.http.close()


def credentials(token=None, cookies=None):
    """Return the headers that say who asks."""
    headers = {}
    if token:
        headers["Authorization"] = f"Bearer {token}"
    if cookies:
        pairs = (f"{name}={value}" for name, value in cookies.items())
        headers["Cookie"] = "; ".join(pairs)
    return headers


def encode_json(value):
    return json.dumps(value, ensure_ascii=False).encode()


def encode_multipart(fields, files, boundary="hai-test-boundary"):
    """Return a multipart/form-data body and its content type."""
    lines = []
    for name, value in fields.items():
        head = f'--{boundary}\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n'
        lines += [head.encode(), str(value).encode(), b"\r\n"]
    for name, file_name, kind, content in files:
        head = (
            f"--{boundary}\r\nContent-Disposition: form-data; "
            f'name="{name}"; filename="{file_name}"\r\nContent-Type: {kind}\r\n\r\n'
        )
        lines += [head.encode(), content, b"\r\n"]
    lines.append(f"--{boundary}--\r\n".encode())
    return b"".join(lines), f"multipart/form-data; boundary={boundary}"


class Heard:
    """What a socket has heard: facts in order, and a way to wait for the next."""

    def __init__(self):
        self.facts = []  # (name, payload), oldest first
        self.read_count = 0  # facts that `fact` has looked at
        self.news = asyncio.Event()

    def hear(self, name, payload):
        self.facts.append((name, payload))
        self.news.set()

    def named(self, name):
        """All payloads heard under this name, oldest first."""
        return [payload for heard, payload in self.facts if heard == name]

    async def fact(self, name, where=None, timeout_s=PATIENCE_S):
        """Wait for the next fact of this name (and shape) and return its payload."""
        async with asyncio.timeout(timeout_s):
            while True:
                while self.read_count < len(self.facts):
                    heard, payload = self.facts[self.read_count]
                    self.read_count += 1
                    if heard == name and (where is None or where(payload)):
                        return payload
                self.news.clear()
                await self.news.wait()

    async def settle(self):
        """Return when every fact told to this socket before now has been heard.

        Orders of one client are answered in order, and facts and acks leave through
        one outbox, so an ack proves what came before it.
        """
        ack = await self.order("settle", {})
        assert ack["error"]["code"] == "unknown_order"


class Socket(Heard):
    """The Python Socket.IO client over one or both of its transports."""

    def __init__(self):
        super().__init__()
        self.client = socketio.AsyncClient(reconnection=False)
        self.client.on("*", self.hear_event)
        self.closed = asyncio.Event()
        self.client.on("disconnect", lambda *reason: self.closed.set())

    def hear_event(self, name, *payload):
        self.hear(name, payload[0] if payload else None)

    async def connect(
        self, url, *, token=None, cookie=None, auth=None, transports=None
    ):
        headers = credentials(token, cookie and {COOKIE: cookie})
        await self.client.connect(
            url,
            headers=headers,
            auth=auth,
            transports=transports,
            wait_timeout=PATIENCE_S,
        )
        return self

    async def order(self, name, payload=None, timeout_s=PATIENCE_S):
        return await self.client.call(name, payload, timeout=timeout_s)

    async def close(self):
        # A polite disconnect over polling waits for the long poll to end (45 s).
        if self.client.eio.state == "connected":
            await self.client.eio.disconnect(abort=True)
        self.client.connected = False
        await self.client.shutdown()
        session = self.client.eio.http
        if session and not session.closed:
            await session.close()


class NativeSocket(Heard):
    """A plain WebSocket on /ws: JSON arrays both ways."""

    def __init__(self):
        super().__init__()
        self.connection = None
        self.acks = {}  # id -> future of the ack
        self.next_id = 1
        self.closed = asyncio.Event()
        self.reading = None

    async def connect(self, url, *, token=None, cookie=None, **_):
        headers = credentials(token, cookie and {COOKIE: cookie})
        request = HTTPRequest(url.replace("http", "ws", 1) + "/ws", headers=headers)
        self.connection = await websocket_connect(request)
        self.reading = asyncio.create_task(self.read())
        return self

    async def read(self):
        while (message := await self.connection.read_message()) is not None:
            name, *rest = json.loads(message)
            if name == "ack":
                self.acks.pop(rest[0]).set_result(rest[1])
            else:
                self.hear(name, *rest)
        self.closed.set()

    async def order(self, name, payload=None, timeout_s=PATIENCE_S):
        order_id, self.next_id = self.next_id, self.next_id + 1
        ack = self.acks[order_id] = asyncio.get_running_loop().create_future()
        await self.send([name, payload, order_id])
        async with asyncio.timeout(timeout_s):
            return await ack

    async def send(self, value):
        """Send anything: text as it is, other values as JSON."""
        text = value if isinstance(value, str | bytes) else encode_json(value).decode()
        await self.connection.write_message(text, binary=isinstance(value, bytes))

    @property
    def close_code(self):
        return self.connection.close_code

    async def close(self):
        self.connection.close()
        self.reading.cancel()
