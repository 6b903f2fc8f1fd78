"""The peer: Tornado as its documentation has it, handing out bytes from memory.

What any page costs at the least in a stock RequestHandler: no session, no permission,
no database, nothing drawn. Its bodies are in a file, as JSON: a list of base64 texts.
"""

import asyncio
import base64
import json
import sys
from pathlib import Path

import tornado.web


class HelloHandler(tornado.web.RequestHandler):
    def get(self) -> None:
        self.write("Hello, world")


class StockPageHandler(tornado.web.RequestHandler):
    def initialize(self, bodies: list[bytes]) -> None:
        self.bodies = bodies

    def compute_etag(self) -> str | None:
        return None  # Hai's pages have none, and it would cost by the byte

    def get(self, number: str) -> None:
        self.write(self.bodies[int(number)])


async def serve(bodies: list[bytes]) -> None:
    application = tornado.web.Application(
        [
            ("/", HelloHandler),
            (r"/pages/(\d+)", StockPageHandler, {"bodies": bodies}),
        ]
    )
    listener = application.listen(0, "127.0.0.1")
    port = next(iter(listener._sockets.values())).getsockname()[1]
    print(f"http://127.0.0.1:{port}", flush=True)
    await asyncio.Event().wait()


if __name__ == "__main__":
    texts = json.loads(Path(sys.argv[1]).read_text())
    asyncio.run(serve([base64.b64decode(text) for text in texts]))
