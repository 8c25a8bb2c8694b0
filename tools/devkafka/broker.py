"""A development broker: started, stopped, killed and started again on the same data and port."""

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Protocol, Self

from tools.devkafka.errors import DevKafkaError, DevKafkaMissingError
from tools.devkafka.nodes import DockerNode, JavaNode, Node
from tools.devkafka.ports import free_pair, free_ports
from tools.devkafka.probe import answers
from tools.devkafka.properties import DEFAULT_VERSION, Listener

EXTERNAL = "ANABRANCH_TEST_KAFKA"
"""Environment variable with ``host:port`` of a broker to use instead of starting one."""

_GUARD = Path(__file__).with_name("guard.py")
_START_SECONDS = 60.0
_STOP_SECONDS = 30.0
_TAIL_LINES = 40


class Broker(Protocol):
    """A broker that answers at ``bootstrap``; a context manager that closes it."""

    @property
    def bootstrap(self) -> str:
        """``host:port``."""
        ...

    @property
    def source(self) -> str:
        """What it comes from, for people."""
        ...

    def close(self) -> None:
        """End it and remove its data, if it was started here."""
        ...

    def __enter__(self) -> Self: ...
    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None: ...


class _Closing:
    def close(self) -> None:
        raise NotImplementedError

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


class ExternalBroker(_Closing):
    """A broker that somebody else runs; closing it does nothing.

    Raises:
        DevKafkaError: No broker answers there.
    """

    def __init__(self, bootstrap: str) -> None:
        if not answers(bootstrap, timeout=5.0):
            raise DevKafkaError(f"no Kafka broker answers at {bootstrap} (named by {EXTERNAL})")
        self.bootstrap = bootstrap
        self.source = f"the broker named by {EXTERNAL}"

    def close(self) -> None:
        pass


class LocalBroker(_Closing):
    """One node on this machine; not running until :meth:`start`.

    Its process ends with the one that made it, however that ends. All methods are synchronous;
    asynchronous callers use ``asyncio.to_thread``.

    Args:
        version: Version of Kafka.
        port: Its plain port; the next one is used too.
        extra: More server settings, or other values.
        listeners: More ways in, name to protocol, for example ``{"LOGIN": "SASL_SSL"}``; their
            keys, certificates and mechanisms are in ``extra``. :meth:`address` says where.

    Attributes:
        bootstrap: ``127.0.0.1:PORT``, the same from start to start.
        directory: Temporary directory of its data, removed by :meth:`close`.
        log: What it logged, over all its starts.
    """

    def __init__(
        self,
        *,
        version: str = DEFAULT_VERSION,
        port: int | None = None,
        extra: Mapping[str, str] | None = None,
        listeners: Mapping[str, str] | None = None,
    ) -> None:
        port = port or free_pair()
        names = listeners or {}
        ports = free_ports(len(names), apart_from={port, port + 1})
        self._listeners = [
            Listener(name, protocol, at)
            for (name, protocol), at in zip(names.items(), ports, strict=True)
        ]
        self.bootstrap = f"127.0.0.1:{port}"
        self.directory = Path(tempfile.mkdtemp(prefix="anabranch-kafka-"))
        self.log = self.directory / "broker.log"
        self._guard: subprocess.Popen[str] | None = None
        self._pid: int | None = None
        try:
            self._node: Node = self._find_node(version, port, extra or {})
        except BaseException:
            shutil.rmtree(self.directory, ignore_errors=True)
            raise

    def _find_node(self, version: str, port: int, extra: Mapping[str, str]) -> Node:
        try:
            return DockerNode(version, port, extra, self._listeners)
        except DevKafkaMissingError as no_docker:
            try:
                return JavaNode(version, port, extra, self._listeners, self.directory)
            except DevKafkaMissingError as no_java:
                raise DevKafkaMissingError(
                    f"nothing to run Apache Kafka with ({no_docker}; {no_java}). Start Docker, "
                    f"or install Java 17+ and Maven, or set {EXTERNAL}=host:port to a broker"
                ) from no_java

    @property
    def source(self) -> str:
        return self._node.source

    def address(self, listener: str) -> str:
        """``127.0.0.1:PORT`` of one of the listeners that were asked for."""
        ports = {one.name: one.port for one in self._listeners}
        return f"127.0.0.1:{ports[listener]}"

    @property
    def pid(self) -> int | None:
        """Pid of its process (of the Docker client, on Docker); None when it is not running."""
        return self._pid

    @property
    def running(self) -> bool:
        return self._guard is not None and self._guard.poll() is None

    def start(self, *, timeout: float = _START_SECONDS) -> None:
        """Run it and wait until it answers; nothing when it is running.

        Args:
            timeout: Seconds to wait.

        Raises:
            DevKafkaError: It ended or does not answer; the message has the end of its log.
        """
        if self.running:
            return
        self._reap()
        on_orphan = self._node.on_orphan()
        options = [f"--remove={self.directory}"]
        if on_orphan:
            options.append(f"--on-orphan={on_orphan}")
        with self.log.open("ab") as log:
            self._guard = subprocess.Popen(
                [sys.executable, str(_GUARD), *options, "--", *self._node.command()],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
                start_new_session=True,  # Ctrl-C in a terminal is for the starter alone
            )
        assert self._guard.stdout is not None
        self._pid = int(self._guard.stdout.readline())
        deadline = time.monotonic() + timeout
        while not answers(self.bootstrap):
            if not self.running:
                self._reap()
                raise DevKafkaError(f"the broker ended while starting.\n{self.tail()}")
            if time.monotonic() > deadline:
                self.kill()
                raise DevKafkaError(
                    f"the broker does not answer after {timeout:.0f} s.\n{self.tail()}"
                )
            time.sleep(0.05)

    def stop(self, *, timeout: float = _STOP_SECONDS) -> None:
        """Shut it down in order (SIGTERM), keeping its data; kill it when that takes too long."""
        if not self.running:
            self._reap()
            return
        self.signal(signal.SIGCONT)
        self.signal(signal.SIGTERM)
        try:
            self._wait(timeout)
        except subprocess.TimeoutExpired:
            self.kill()

    def kill(self) -> None:
        """End it as a power failure would (SIGKILL), keeping its data."""
        if self.running:
            self.signal(signal.SIGKILL)
            self._wait(_STOP_SECONDS)
        self._reap()

    def restart(self, *, timeout: float = _START_SECONDS) -> None:
        """Stop it if it is running, and start it on the same data and port."""
        self.stop()
        self.start(timeout=timeout)

    def signal(self, number: signal.Signals) -> None:
        """Send it a signal, for example SIGSTOP and SIGCONT to hang it for a while."""
        if not self.running or self._pid is None:
            raise DevKafkaError("the broker is not running")
        try:
            self._node.signal(self._pid, number)
        except ProcessLookupError:
            self._reap()

    def close(self) -> None:
        """Stop it and remove its data."""
        self.stop()
        if self.directory.exists():
            self._node.discard()
            shutil.rmtree(self.directory, ignore_errors=True)

    def tail(self, lines: int = _TAIL_LINES) -> str:
        """The last lines of its log."""
        text = self.log.read_text(encoding="utf-8", errors="replace")
        return "The end of its log:\n" + "\n".join(text.splitlines()[-lines:])

    def _wait(self, timeout: float) -> None:
        if self._guard is not None:
            self._guard.wait(timeout)
        self._reap()

    def _reap(self) -> None:
        guard, self._guard, self._pid = self._guard, None, None
        if guard is None:
            return
        guard.wait(_STOP_SECONDS)
        for pipe in (guard.stdin, guard.stdout):
            if pipe is not None:
                pipe.close()


def start(
    *,
    version: str = DEFAULT_VERSION,
    port: int | None = None,
    extra: Mapping[str, str] | None = None,
) -> Broker:
    """A broker that answers: the one that ANABRANCH_TEST_KAFKA names, else a new local one.

    Args:
        version: Version of Kafka, for a local one.
        port: Port of a local one; the next one must be free too.
        extra: More server settings of a local one.

    Raises:
        DevKafkaMissingError: Nothing to run one with.
        DevKafkaError: It did not start, or the named one does not answer.
    """
    named = os.environ.get(EXTERNAL)
    if named:
        return ExternalBroker(named)
    broker = LocalBroker(version=version, port=port, extra=extra)
    try:
        broker.start()
    except BaseException:
        broker.close()
        raise
    return broker
