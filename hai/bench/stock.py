"""The peer: a chat on python-socketio and Tornado as its documentation has it.

Speaks just enough of our orders and facts for the same generator: no database, no
authorisation, one room. What it costs more is the price of the library's own path.
"""

import asyncio
import resource
import sys
import time
from itertools import count
from typing import Any

import socketio
import tornado.web

ROOM = "everybody"


async def serve() -> None:
    server = socketio.AsyncServer(async_mode="tornado", async_handlers=False)
    ids = count(1)

    async def connect(sid: str, environ: dict[str, Any]) -> None:
        await server.enter_room(sid, ROOM)

    async def send_hai(sid: str, order: dict[str, Any]) -> dict[str, Any]:
        number = next(ids)
        told = {"id": number, "rev": number, "user_id": 1, **order}
        told |= {"sent_at": time.time_ns() // 1_000_000, "pictures": []}
        await server.emit("hai_sent", {"hai": told}, room=ROOM)
        return {"hai": told}

    server.on("connect", connect)
    server.on("send_hai", send_hai)
    handler = socketio.get_tornado_handler(server)
    application = tornado.web.Application([(r"/socket\.io/", handler)])
    listener = application.listen(0, "127.0.0.1")
    port = next(iter(listener._sockets.values())).getsockname()[1]
    print(f"http://127.0.0.1:{port}", flush=True)
    await asyncio.Event().wait()


if __name__ == "__main__":
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    sys.exit(asyncio.run(serve()))
