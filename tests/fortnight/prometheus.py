"""A real Prometheus over a history that was never scraped: blocks made by promtool, served on loopback.

The dates stay what they are, years ago or not: retention is longer than any of them.
"""

import json
import os
import shutil
import socket
import subprocess
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from datetime import datetime
from pathlib import Path
from time import monotonic, sleep
from typing import Any
from urllib.error import HTTPError, URLError
from urllib.parse import urlencode
from urllib.request import urlopen

PROMETHEUS = shutil.which("prometheus")
PROMTOOL = shutil.which("promtool")
LOOKBACK = "10m"
"""Two of the simulated scrapes: a sample that comes a moment late is still found."""
_READY_SECONDS = 60.0


def make_blocks(files: Iterable[Path], data: Path) -> None:
    """Turn OpenMetrics files into blocks; one file per day, since promtool reads a file again for every two hours that it covers."""
    for file in files:
        command = [str(PROMTOOL), "tsdb", "create-blocks-from", "openmetrics", str(file), str(data)]
        ended = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603 - the tool of the machine
        if ended.returncode:
            raise RuntimeError(f"promtool refuses {file.name}: {ended.stderr.strip()[-500:]}")


class Prometheus:
    """Asks a server by its HTTP API."""

    def __init__(self, url: str) -> None:
        self.url = url

    def instant(self, query: str, at: datetime) -> list[dict[str, Any]]:
        """The result vector at one moment."""
        return self._ask("query", {"query": query, "time": str(at.timestamp())})

    def range(self, query: str, since: datetime, until: datetime, step_seconds: float) -> list[dict[str, Any]]:
        """The result matrix over a span."""
        span = {"start": str(since.timestamp()), "end": str(until.timestamp()), "step": str(step_seconds)}
        return self._ask("query_range", {"query": query, **span})

    def ready(self) -> bool:
        with suppress(URLError, OSError), urlopen(f"{self.url}/-/ready", timeout=5) as answer:  # noqa: S310 - our own server on loopback
            return bool(answer.status == 200)
        return False

    def _ask(self, what: str, parameters: Mapping[str, str]) -> list[dict[str, Any]]:
        body = urlencode(parameters).encode()
        try:
            with urlopen(f"{self.url}/api/v1/{what}", data=body, timeout=60) as answer:  # noqa: S310 - as above
                result: list[dict[str, Any]] = json.load(answer)["data"]["result"]
        except HTTPError as error:
            raise ValueError(f"{parameters['query']}: {json.load(error)['error']}") from None
        return result


@contextmanager
def served(blocks: Path, directory: Path) -> Iterator[Prometheus]:
    """A Prometheus of this block's own, on links to these blocks; everything that it writes is under `directory`."""
    data = directory / "data"
    shutil.copytree(blocks, data, copy_function=os.link)
    (directory / "prometheus.yml").write_text("global: {scrape_interval: 5m}\n", encoding="utf-8")
    port = _free_port()
    command = [
        str(PROMETHEUS),
        f"--config.file={directory / 'prometheus.yml'}",
        f"--storage.tsdb.path={data}",
        "--storage.tsdb.retention.time=100y",
        f"--query.lookback-delta={LOOKBACK}",
        f"--web.listen-address=127.0.0.1:{port}",
        "--web.cors.origin=.*",
        "--log.level=warn",
    ]
    with (directory / "prometheus.log").open("wb") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log)  # noqa: S603 - the server of the machine
        try:
            yield _ready(Prometheus(f"http://127.0.0.1:{port}"), process)
        finally:
            process.terminate()
            process.wait()


def _ready(server: Prometheus, process: "subprocess.Popen[bytes]") -> Prometheus:
    deadline = monotonic() + _READY_SECONDS
    while not server.ready():
        if process.poll() is not None or monotonic() > deadline:
            raise RuntimeError("Prometheus does not come up; its log says why")
        sleep(0.1)
    return server


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
