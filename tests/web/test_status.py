"""Liveness and metrics."""

from hai import __version__
from hai.metrics import METRICS, Metrics


async def test_health_says_the_version(app, client):
    answer = await client().get("/healthz")
    assert answer.json == {"status": "ok", "version": __version__}


async def test_metrics_are_in_prometheus_text(client, cast):
    await client(cast.ada).get("/rooms")
    answer = await client().get("/metrics")
    assert answer.headers["Content-Type"].startswith("text/plain; version=0.0.4")
    lines = answer.text.splitlines()
    assert 'hai_http_requests_total{status="200"} 1' in lines
    assert any(line.startswith("hai_resident_bytes ") for line in lines)
    values = [line.split() for line in lines if not line.startswith("#")]
    assert all(len(line) == 2 and float(line[1]) >= 0 for line in values)


async def test_metrics_are_for_this_machine_and_for_admins(client, cast):
    away = {"Host": "hai.example"}
    assert (await client().get("/metrics", headers=away)).code == "not_found"
    assert (await client(cast.linus).get("/metrics", headers=away)).code == "not_found"
    assert (await client(cast.ada).get("/metrics", headers=away)).status == 200


def test_every_metric_has_help_and_a_name_that_says_its_kind():
    for metric in METRICS:
        assert metric.help and metric.name.startswith("hai_")
        assert metric.name.endswith("_total") == (metric.kind == "counter")


def test_counting():
    metrics = Metrics()
    metrics.count("hai_uploads_total", "kept", 2)
    metrics.count("hai_upload_bytes_total", by=10)
    metrics.watch("hai_sockets", lambda: 3)
    text = metrics.text()
    assert 'hai_uploads_total{outcome="kept"} 2\n' in text
    assert "hai_upload_bytes_total 10\n" in text
    assert "# TYPE hai_sockets gauge\nhai_sockets 3\n" in text


async def test_health_says_when_the_disk_is_full(core, client):
    await core.db.write(lambda tx: None)  # the writer has looked at the disk itself
    core.db.writer.is_full = True
    answer = await client().get("/healthz")
    assert (answer.status, answer.json["status"]) == (200, "storage_full")


async def test_health_says_when_the_database_has_failed(core, client, monkeypatch):
    monkeypatch.setattr(core.db.writer, "failure", OSError("the disk is gone"))
    answer = await client().get("/healthz")
    assert (answer.status, answer.json["status"]) == (503, "failed")
    monkeypatch.undo()
