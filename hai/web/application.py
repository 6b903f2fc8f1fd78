"""Puts the web edge together: one Tornado application for the URL table."""

from collections.abc import Iterable
from typing import Any

from hai import clock
from hai.core.context import Core
from hai.core.pictures import stored
from hai.events import FACTS
from hai.metrics import Metrics, resident_bytes
from hai.web import routes
from hai.web.http.assets import Assets, own_assets, url_rules
from hai.web.http.base import MisdirectedHandler, NotFoundHandler
from hai.web.http.shared import HaiApplication
from hai.web.http.shell import Shell
from hai.web.http.templates import own_templates

# For HTTPServer(application, **SERVER_OPTIONS). Addresses behind proxies are read
# by core/origin.py, which trusts only trusted_proxies: xheaders stays off.
SERVER_OPTIONS: dict[str, Any] = {
    "max_body_size": 1024 * 1024,  # of handlers that are not ours; ours take less
    "max_header_size": 16 * 1024,
    "chunk_size": 64 * 1024,  # read at once: a quarter of a picture's chunk
    "body_timeout": 30.0,
    "idle_connection_timeout": 120.0,
}


def build(
    core: Core,
    socket_rules: Iterable[Any] = (),
    *,
    metrics: Metrics | None = None,
    assets: Assets | None = None,
) -> HaiApplication:
    """The application; `socket_rules` are the realtime edge's own."""
    assets = assets or own_assets()
    metrics = metrics or Metrics()
    _watch(metrics, core)
    app = HaiApplication(
        core,
        metrics,
        assets,
        Shell(own_templates(), assets, core.config),
        # Sockets first: after a restart everybody comes back at once through these.
        [*socket_rules, *routes.url_rules(), *url_rules(assets)],
        template_loader=own_templates(),
        default_handler_class=NotFoundHandler,
        elsewhere=MisdirectedHandler,
        any_host_paths=routes.ANY_HOST_PATHS,
        cross_origin_protection=True,
    )
    app.early_rules = routes.early_rules()
    return app


def _watch(metrics: Metrics, core: Core) -> None:
    """Values read only when the metrics are requested."""
    writer = core.db.writer
    metrics.watch("hai_writes_total", lambda: writer.write_count)
    metrics.watch("hai_write_batches_total", lambda: writer.batch_count)
    metrics.watch("hai_writes_failed_total", lambda: writer.outage.failed_count)
    metrics.watch("hai_writes_waiting", lambda: writer.waiting_count)
    readers = core.db.readers
    metrics.watch("hai_reads_total", lambda: readers.read_count)
    metrics.watch("hai_reads_unwanted_total", lambda: readers.unwanted_count)
    metrics.watch("hai_reads_refused_total", lambda: readers.refused_count)
    metrics.watch("hai_reads_waiting", lambda: readers.waiting_count)
    metrics.watch("hai_users_online", lambda: len(core.presence.socket_counts))
    metrics.watch("hai_resident_bytes", resident_bytes)
    metrics.watch("hai_cache_bytes", lambda: core.cache.byte_count)
    metrics.watch("hai_picture_cache_bytes", lambda: core.picture_cache.byte_count)
    core.bus.subscribe(
        stored.DamageFound, lambda _: metrics.count("hai_pictures_damaged_total")
    )
    for fact in FACTS:
        core.bus.subscribe(fact, lambda e: metrics.count("hai_facts_total", e.name))
    started_at_s = clock.now_ms() // 1000
    metrics.watch("hai_start_time_seconds", lambda: started_at_s)
