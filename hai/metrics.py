"""All metrics, declared in one list, and their Prometheus text.

A part that counts calls `metrics.count("name")`; values that can be read on request
(open sockets, queued writes) are gauges that are connected with `metrics.watch`.
Written by hand: the usual client library takes 14 MiB. Loop thread only. One set of
numbers per process, as for any server.
"""

from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Metric:
    """One row. kind: "counter" or "gauge"."""

    name: str
    kind: str
    help: str
    label: str = ""


METRICS: tuple[Metric, ...] = (
    Metric("hai_http_requests_total", "counter", "HTTP answers by status", "status"),
    Metric("hai_http_request_seconds_total", "counter", "Time spent answering HTTP"),
    Metric("hai_facts_total", "counter", "Facts told on the bus, by name", "fact"),
    Metric("hai_uploads_total", "counter", "Uploads, by outcome", "outcome"),
    Metric("hai_uploads_refused_total", "counter", "Uploads refused, why", "code"),
    Metric("hai_upload_bytes_total", "counter", "Bytes of pictures received"),
    Metric("hai_picture_bytes_sent_total", "counter", "Bytes of pictures served"),
    Metric("hai_pictures_damaged_total", "counter", "Reads of bytes gone bad on disk"),
    Metric("hai_sockets", "gauge", "Sockets connected now"),
    Metric("hai_users_online", "gauge", "Users with a socket now"),
    Metric("hai_pictures", "gauge", "Pictures stored, also those still arriving"),
    Metric("hai_picture_bytes", "gauge", "Their bytes, each counted in full"),
    Metric("hai_pictures_unsent", "gauge", "Uploaded whole, in no hai yet"),
    Metric("hai_uploads_unfinished", "gauge", "Pictures that are still arriving"),
    Metric("hai_database_bytes", "gauge", "The database without its free pages"),
    Metric("hai_database_file_bytes", "gauge", "The database's file on the disk"),
    Metric("hai_wal_bytes", "gauge", "The write-ahead log's file on the disk"),
    Metric("hai_disk_free_bytes", "gauge", "What is free on the disk of the data"),
    Metric("hai_writes_total", "counter", "Writes committed"),
    Metric("hai_write_batches_total", "counter", "Transactions committed"),
    Metric("hai_writes_failed_total", "counter", "Writes that disk or lock refused"),
    Metric("hai_writes_waiting", "gauge", "Writes queued for the writer thread"),
    Metric("hai_reads_total", "counter", "Reads run on the reader threads"),
    Metric("hai_reads_unwanted_total", "counter", "Reads whose client had gone"),
    Metric("hai_reads_refused_total", "counter", "Reads refused: too many wait"),
    Metric("hai_reads_waiting", "gauge", "Reads queued for a reader thread"),
    Metric("hai_cache_bytes", "gauge", "Hais and pages kept in memory"),
    Metric("hai_picture_cache_bytes", "gauge", "Small pictures kept in memory"),
    Metric("hai_resident_bytes", "gauge", "Resident memory of the process"),
    Metric("hai_start_time_seconds", "gauge", "When the process started, since 1970"),
)


class Metrics:
    """The numbers behind the list."""

    def __init__(self) -> None:
        self.declared = {metric.name: metric for metric in METRICS}
        self.counts: defaultdict[tuple[str, str], float] = defaultdict(int)
        self.watched: dict[str, Callable[[], float]] = {}

    def count(self, name: str, label: str = "", by: float = 1) -> None:
        """Add to a counter. Unknown names raise KeyError: declare them above."""
        assert self.declared[name].kind == "counter"
        self.counts[name, label] += by

    def watch(self, name: str, ask: Callable[[], float]) -> None:
        """Ask `ask` for the value whenever the text is wanted."""
        assert name in self.declared
        self.watched[name] = ask

    def set(self, name: str, value: float) -> None:
        """A gauge that was read just now."""
        self.watch(name, lambda: value)

    def value(self, name: str) -> float:
        """The present value of a watched metric; 0 if nothing watches it."""
        return self.watched[name]() if name in self.watched else 0

    def text(self) -> str:
        """Prometheus text format, version 0.0.4."""
        return "".join(self._lines(metric) for metric in METRICS)

    def _lines(self, metric: Metric) -> str:
        head = f"# HELP {metric.name} {metric.help}\n# TYPE {metric.name} {metric.kind}"
        values = self._values(metric)
        lines = [f"{metric.name}{label} {value:.15g}" for label, value in values]
        return "\n".join([head, *lines]) + "\n" if lines else ""

    def _values(self, metric: Metric) -> list[tuple[str, float]]:
        if metric.name in self.watched:
            return [("", self.watched[metric.name]())]
        counted = sorted(
            (label, value)
            for (name, label), value in self.counts.items()
            if name == metric.name
        )
        if metric.label:
            return [(f'{{{metric.label}="{label}"}}', n) for label, n in counted]
        if metric.kind == "counter":
            return [("", counted[0][1] if counted else 0)]
        return []


def resident_bytes() -> float:
    """Memory in use now; 0 where the system does not say (not Linux)."""
    try:
        with open("/proc/self/statm") as file:
            return int(file.read().split()[1]) * 4096
    except OSError:
        return 0
