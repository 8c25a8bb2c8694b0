"""``anabranch serve`` in a process of its own, asked over loopback."""

from __future__ import annotations

import asyncio
import itertools
import json
import os
import re
import statistics
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final, Self
from urllib.request import urlopen

from anabranch.runtime import KafkaPipeline
from anabranch.settings import load_settings
from benchmarks.assign.work import EXPERIMENT
from benchmarks.contestants import ContestantError, Figures
from benchmarks.ofrep.load import Load

RATE: Final = 2_000
CONNECTIONS: Final = 32
TOLD: Final = "one flag, each a new unit's exposure on Kafka"
ONE: Final = "one flag, no broker"
ALL: Final = "all of ten flags, no broker"
CASES: Final = (TOLD, ONE, ALL)

_FLAGS: Final = "/ofrep/v1/evaluate/flags"
_TOKEN: Final = "benchmark-benchmark"
_WARM_UP: Final = 3.0
_PATIENCE: Final = 60.0


def quantile(case: str, label: str) -> str:
    """The name of a row of latencies."""
    return f"{case}: {label}"


def compete(
    bootstrap: str, *, seconds: float, rounds: int, progress: Callable[[str], None]
) -> tuple[dict[str, Figures], dict[str, Figures]]:
    """Latencies at 2,000 requests a second (ms), and what a process can do (rate, CPU µs).

    Raises:
        ContestantError: The server ended, an answer was not 200, or an exposure did not arrive.
    """
    latencies = {quantile(case, label): Figures() for case in CASES for label in ("p50", "p99")}
    most = {case: Figures() for case in CASES}
    for number in range(rounds):
        for case in CASES:
            progress(f"round {number + 1} of {rounds}: {case}")
            found, rate, cpu = asyncio.run(_measure(case, bootstrap, seconds))
            cuts = statistics.quantiles(found, n=100, method="inclusive")
            latencies[quantile(case, "p50")].micros.append(cuts[49] * 1000)
            latencies[quantile(case, "p99")].micros.append(cuts[98] * 1000)
            most[case].rates.append(rate)
            most[case].micros.append(cpu * 1e6)
    return latencies, most


async def _measure(case: str, bootstrap: str, seconds: float) -> tuple[list[float], float, float]:
    if case != TOLD:
        with _Server() as server:
            return await _run(case, server, seconds)
    settings = load_settings(
        bootstrap=bootstrap, prefix=f"bench{uuid.uuid4().hex[:8]}", partitions=4
    )
    async with KafkaPipeline(settings) as pipeline:
        await pipeline.create_topics()
        try:
            with _Server("--bootstrap", bootstrap, "--prefix", settings.prefix) as server:
                return await _run(case, server, seconds)
        finally:
            await pipeline.destroy()


async def _run(case: str, server: _Server, seconds: float) -> tuple[list[float], float, float]:
    """Seconds of each paced request; requests a second and CPU seconds a request at most."""
    requests = _requests(case)
    asked = itertools.count()
    counted = (next(requests) for _ in asked)
    async with Load("127.0.0.1", server.port, counted, CONNECTIONS) as load:
        await load.paced(RATE / 2, _WARM_UP)
        found = await load.paced(RATE, seconds)
        cpu, begin = server.cpu_seconds(), time.perf_counter()
        most = len(await load.flat_out(seconds))
        took = time.perf_counter() - begin
        cpu = server.cpu_seconds() - cpu
    if case == TOLD:
        await _until_told(server, next(asked))
    return found, most / took, cpu / most


def _requests(case: str) -> Iterator[bytes]:
    path = _FLAGS if case == ALL else f"{_FLAGS}/{EXPERIMENT.key}"
    head = (
        f"POST {path} HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-type: application/json\r\n"
        f"authorization: Bearer {_TOKEN}\r\ncontent-length: "
    ).encode()
    for number in itertools.count():
        body = b'{"context":{"targetingKey":"user-%d","segment":"vip"}}' % number
        yield head + b"%d\r\n\r\n" % len(body) + body


async def _until_told(server: _Server, count: int) -> None:
    """Until every unit's exposure is acknowledged: what is only queued has cost nothing yet."""
    until = time.perf_counter() + _PATIENCE
    while (sent := server.exposures("sent")) < count:
        if server.exposures("dropped"):
            raise ContestantError("exposures were dropped: the broker did not keep up")
        if time.perf_counter() > until:
            raise ContestantError(f"{sent:,} of {count:,} exposures were acknowledged")
        await asyncio.sleep(0.1)


class _Server:
    """The process, stopped with its ``with``."""

    def __init__(self, *arguments: str) -> None:
        self._arguments = arguments

    def __enter__(self) -> Self:
        self._folder = tempfile.TemporaryDirectory()
        specs = Path(self._folder.name) / "specs.json"
        document = EXPERIMENT.model_dump(mode="json", by_alias=True, exclude_none=True)
        keys = [EXPERIMENT.key, *(f"{EXPERIMENT.key}{n}" for n in range(1, 10))]
        documents = [
            {"kind": "Experiment", **document, "meta": {**document["meta"], "key": key}}
            for key in keys
        ]
        specs.write_text(json.dumps(documents))
        self._log = Path(self._folder.name) / "log"
        with self._log.open("wb") as sink:
            self._process = subprocess.Popen(
                [
                    *(sys.executable, "-m", "anabranch", "serve", "--port", "0"),
                    *("--specs", str(specs), *self._arguments),
                ],
                env={**os.environ, "ANABRANCH_SERVE_TOKENS": json.dumps([_TOKEN])},
                stdout=sink,
                stderr=sink,
            )
        try:
            self.port = self._port()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self._process.terminate()
        try:
            self._process.wait(30)
        finally:
            self._folder.cleanup()

    def _port(self) -> int:
        until = time.perf_counter() + _PATIENCE
        while time.perf_counter() < until:
            log = self._log.read_text()
            if found := re.search(r"http://127\.0\.0\.1:(\d+)/", log):
                return int(found[1])
            if self._process.poll() is not None:
                raise ContestantError(f"the server ended with {self._process.returncode}: {log}")
            time.sleep(0.05)
        raise ContestantError(f"the server took no requests within {_PATIENCE:g} s")

    def exposures(self, outcome: str) -> int:
        """From its metrics."""
        with urlopen(f"http://127.0.0.1:{self.port}/metrics") as answer:
            text = answer.read().decode()
        name = f'anabranch_served_exposures_total{{outcome="{outcome}"}} '
        (line,) = [line for line in text.splitlines() if line.startswith(name)]
        return int(float(line.removeprefix(name)))

    def cpu_seconds(self) -> float:
        """User and system time so far (proc(5), fields 14 and 15 of ``stat``)."""
        if self._process.poll() is not None:
            raise ContestantError(f"the server ended with {self._process.returncode}")
        stat = Path(f"/proc/{self._process.pid}/stat").read_text()
        fields = stat.rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
