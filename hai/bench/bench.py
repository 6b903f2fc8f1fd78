"""What every scenario is given: folders, cores, and servers to start."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from hai.bench.community import Community
from hai.bench.processes import Cores, ServerProcess

# The launcher of a checkout is not there in an installed package.
RUN = ["-c", "import sys; from hai.cli import main; sys.exit(main())"]


@dataclass(frozen=True)
class Bench:
    """seconds: how long each measurement lasts. say: one line of progress."""

    folder: Path
    cores: Cores
    seconds: float
    with_stock: bool
    say: Callable[[str], None]

    def serve(self, community: Community, *flags: str) -> ServerProcess:
        """Our own server on this community."""
        given = ["serve", "--port", "0", "--data", str(community.folder)]
        return self.start([*RUN, *given, "--rate-limits", "off", *flags])

    def start(self, command: list[str]) -> ServerProcess:
        return ServerProcess(command, self.cores.server, self.folder / "server.log")
