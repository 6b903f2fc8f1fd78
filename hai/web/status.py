"""For operators: is Hai alive, and how is it doing."""

from datetime import UTC, datetime
from typing import Any

from hai import __version__, clock
from hai.core.pictures import decoders
from hai.core.talk import hai_cache
from hai.errors import NotFound
from hai.storage.database import server_row
from hai.units import DAY_MS
from hai.web.http.base import BaseHandler
from hai.web.http.early import JSON, EarlyAnswer, EarlyRequest
from hai.web.sign_in.accounts import is_local_request

TEXT_DAYS = 180  # RFC 9116, 2.5.5: less than a year
USAGE_METRICS = {
    "hai_pictures": "pictures",
    "hai_picture_bytes": "picture_bytes",
    "hai_pictures_unsent": "unsent",
    "hai_uploads_unfinished": "unfinished",
    "hai_database_bytes": "database_bytes",
    "hai_database_file_bytes": "file_bytes",
    "hai_wal_bytes": "wal_bytes",
    "hai_disk_free_bytes": "disk_free_bytes",
}


ALIVE = hai_cache.encode({"status": "ok", "version": __version__}).encode()


class HealthHandler(BaseHandler):
    """GET /healthz: alive, and the database responds.

    503 after a failure, when nothing is acked any more, and `failing` while the
    writer's last batch was refused; `storage_full` while hais are refused because the
    disk is full. `?deep` also tells what the processes that decode pictures are denied.
    """

    is_public = True
    works_without_factor = True
    max_body_bytes = 0
    always_json = True

    async def get(self) -> None:
        writer = self.core.db.writer
        if not writer.failure:
            self.core.db.read_now(server_row)  # 5 us; a reader thread, 60
        status = "storage_full" if writer.is_full else "ok"
        status = "failing" if writer.outage.is_on else status
        status = "failed" if writer.failure else status
        answer: dict[str, Any] = {"status": status, "version": __version__}
        if "deep" in self.request.query_arguments or self.request.query == "deep":
            answer["denied_to_decoders"] = await decoders.check(self.core)
        self.write_json(answer, 503 if status in ("failed", "failing") else 200)


class SecurityTextHandler(BaseHandler):
    """GET /.well-known/security.txt: whom to tell of a hole (RFC 9116), if anybody."""

    is_public = True
    works_without_factor = True
    max_body_bytes = 0

    async def get(self) -> None:
        config = self.core.config
        if not config.security_contact:
            raise NotFound()
        until_s = (clock.now_ms() // DAY_MS + TEXT_DAYS) * DAY_MS // 1000
        until = datetime.fromtimestamp(until_s, UTC).isoformat().replace("+00:00", "Z")
        lines = [f"Contact: {config.security_contact}", f"Expires: {until}"]
        if config.public_url:
            lines.append(f"Canonical: {config.public_url}{self.request.path}")
        self.set_header("Content-Type", "text/plain; charset=utf-8")
        self.write("\r\n".join([*lines, ""]))


def early_health(request: EarlyRequest) -> EarlyAnswer | None:
    """What HealthHandler answers while all is well. It judges bearer tokens, too."""
    db = request.app.core.db
    writer = db.writer
    if writer.failure or writer.is_full or writer.outage.is_on:
        return None
    if "Authorization" in request.headers:
        return None
    db.read_now(server_row)
    return EarlyAnswer(ALIVE, JSON)


class MetricsHandler(BaseHandler):
    """GET /metrics: Prometheus text, for this machine and for admins."""

    is_public = True
    max_body_bytes = 0

    async def get(self) -> None:
        is_admin = self.identity is not None and self.identity.is_admin
        if not (is_admin or is_local_request(self.request)):
            raise NotFound()
        sums = await self.application.usage_totals.get()
        for name, key in USAGE_METRICS.items():
            self.application.metrics.set(name, sums[key])
        self.set_header("Content-Type", "text/plain; version=0.0.4; charset=utf-8")
        self.write(self.application.metrics.text())
