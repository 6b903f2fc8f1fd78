"""An OpenID Connect provider that can be told to lie: `lies` is what it says."""

import asyncio
import base64
import hashlib
import json
import time
from urllib.parse import parse_qs, urlencode, urlsplit

from joserfc import jwt
from joserfc.jwk import ECKey
from tornado.httpserver import HTTPServer
from tornado.netutil import bind_sockets
from tornado.web import Application, RequestHandler

CLIENT_ID, SECRET = "hai of tests", "a secret: ü/%"


class Provider:
    """Starts on a free port. people: what userinfo says of each subject."""

    def __init__(self):
        self.key = ECKey.generate_key("P-256", {"kid": "1", "alg": "ES256"})
        self.lies = {}
        self.people = {}
        self.codes = {}  # code -> (subject, what was asked for)
        self.seen = []  # paths that were asked for
        rules = [(r"/.*", Answering, {"provider": self})]
        sockets = bind_sockets(0, "127.0.0.1")
        self.issuer = f"http://127.0.0.1:{sockets[0].getsockname()[1]}"
        self.server = HTTPServer(Application(rules, log_function=lambda handler: None))
        self.server.add_sockets(sockets)

    def approve(self, url, subject):
        """Somebody signs in there; gives the path that leads back to Hai."""
        parts = urlsplit(url)
        asked = {name: values[0] for name, values in parse_qs(parts.query).items()}
        code = f"code of {subject} {len(self.codes)}"
        self.codes[code] = (subject, asked)
        back = {"code": code, "state": asked["state"], "iss": self.issuer}
        back |= self.lies.get("back", {})
        return f"{urlsplit(asked['redirect_uri']).path}?{urlencode(back)}"

    def answer(self, path, form, headers):
        self.seen.append(path)
        path = path.removeprefix("/elsewhere")
        if path.endswith("openid-configuration"):
            return self.description()
        if path == "/keys":
            return {"keys": [self.key.as_dict(private=False)]}
        if path == "/token":
            return self.token(form, headers)
        return self.userinfo(headers)

    def description(self):
        return {
            "issuer": self.issuer,
            "authorization_endpoint": self.issuer + "/authorize",
            "token_endpoint": self.issuer + "/token",
            "userinfo_endpoint": self.issuer + "/userinfo",
            "jwks_uri": self.issuer + "/keys",
        } | self.lies.get("description", {})

    def token(self, form, headers):
        subject, asked = self.codes.pop(form["code"])
        challenge = hashlib.sha256(form["code_verifier"].encode()).digest()
        challenge = base64.urlsafe_b64encode(challenge).decode().rstrip("=")
        assert challenge == asked["code_challenge"]
        assert form["redirect_uri"] == asked["redirect_uri"]
        self.credentials = headers.get("Authorization", ""), form.get("client_secret")
        now = int(time.time())
        claims = {"iss": self.issuer, "aud": CLIENT_ID, "sub": subject}
        claims |= {"exp": now + 600, "iat": now, "nonce": asked["nonce"]}
        claims |= self.lies.get("claims", {})
        claims = {name: value for name, value in claims.items() if value is not None}
        return {"id_token": self.sign(claims), "access_token": subject}

    def sign(self, claims):
        if sign := self.lies.get("sign"):
            return sign(claims)
        return jwt.encode({"alg": "ES256", "kid": "1"}, claims, self.key)

    def userinfo(self, headers):
        subject = headers["Authorization"].removeprefix("Bearer ")
        found = {"sub": subject} | self.people.get(subject, {})
        return found | self.lies.get("userinfo", {})

    async def stop(self):
        self.server.stop()
        await self.server.close_all_connections()


class Answering(RequestHandler):
    def initialize(self, provider):
        self.provider = provider

    async def get(self):
        path = self.request.path
        if answer := self.provider.lies.get(path):
            await answer(self)
            return
        form = {n: v[0].decode() for n, v in self.request.body_arguments.items()}
        answer = self.provider.answer(path, form, self.request.headers)
        self.set_header("Content-Type", "application/json")
        self.write(json.dumps(answer))

    post = get


# --- What a hostile one does instead of answering ------------------------------------


async def leads_elsewhere(handler):
    """Where all would be well."""
    handler.redirect("/elsewhere" + handler.request.path)


async def sends_too_much(handler):
    handler.write('{"x": "' + "x" * 10_000_000 + '"}')


async def drips_too_much(handler):
    """Without saying how much it will be."""
    try:
        for _ in range(160):
            handler.write("x" * 65_536)
            await handler.flush()
    except Exception:  # nobody listens any more
        return


async def hangs(handler):
    await asyncio.sleep(3600)


async def says_nonsense(handler):
    handler.write("<html>")


async def says_a_list(handler):
    handler.write("[1]")


async def nests(handler):
    handler.write("[" * 60_000)


async def fails(handler):
    handler.set_status(500)
    handler.write("{}")


async def hangs_up(handler):
    handler.request.connection.stream.close()
