"""The two ways to run a node on this machine: a container, or Java itself."""

import os
import secrets
import shlex
import shutil
import signal
import subprocess
import uuid
from base64 import urlsafe_b64encode
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Protocol

from tools.devkafka.errors import DevKafkaError, DevKafkaMissingError
from tools.devkafka.jars import find_java, gather_jars
from tools.devkafka.properties import Listener, as_environment, as_file, server_properties


class Node(Protocol):
    """One node's data and how to run it; the same node can be run again after it ended."""

    @property
    def source(self) -> str:
        """What it comes from, for people: ``Apache Kafka 4.1.0 on Java``."""
        ...

    def command(self) -> list[str]:
        """The process to run in the foreground; it ends when the broker ends."""
        ...

    def on_orphan(self) -> str | None:
        """What else the guard must run when nobody is left to discard the node."""
        ...

    def signal(self, pid: int, number: signal.Signals) -> None:
        """Send a signal to the broker; ``pid`` is that of the foreground process."""
        ...

    def discard(self) -> None:
        """Forget the node's data."""
        ...


class JavaNode:
    """A node run by this machine's Java from jars that Maven gathers.

    Raises:
        DevKafkaMissingError: No Java or no Maven.
        DevKafkaError: The jars could not be gathered, or the data directory not formatted.
    """

    def __init__(
        self,
        version: str,
        port: int,
        extra: Mapping[str, str],
        listeners: Sequence[Listener],
        directory: Path,
    ) -> None:
        self.source = f"Apache Kafka {version} on Java"
        self._java = find_java()
        self._classpath = f"{gather_jars(version)}/*"
        self._properties = directory / "server.properties"
        settings = server_properties(
            bind="127.0.0.1",
            port=port,
            controller_port=port + 1,
            data=str(directory / "data"),
            listeners=listeners,
            extra=extra,
        )
        self._properties.write_text(as_file(settings), encoding="utf-8")
        self._format()

    def _format(self) -> None:
        cluster = urlsafe_b64encode(uuid.uuid4().bytes).rstrip(b"=").decode()
        # An id that starts with a dash would be read as an option.
        cluster = cluster.replace("-", "_")
        tool = ["kafka.tools.StorageTool", "format", "-t", cluster, "-c", str(self._properties)]
        done = subprocess.run(
            [self._java, "-cp", self._classpath, *tool], capture_output=True, text=True, check=False
        )
        if done.returncode != 0:
            raise DevKafkaError(f"could not format the data:\n{done.stdout}{done.stderr}")

    def command(self) -> list[str]:
        return [
            self._java,
            "-Xmx512m",
            "-Dorg.slf4j.simpleLogger.showDateTime=true",
            "-Dorg.slf4j.simpleLogger.dateTimeFormat=HH:mm:ss.SSS",
            "-cp",
            self._classpath,
            "kafka.Kafka",
            str(self._properties),
        ]

    def on_orphan(self) -> None:
        return None

    def signal(self, pid: int, number: signal.Signals) -> None:
        os.kill(pid, number)

    def discard(self) -> None:
        """Nothing: the data is in the broker's own directory."""


class DockerNode:
    """A node in a container of the image apache/kafka.

    Raises:
        DevKafkaMissingError: No Docker engine answers, or it cannot get the image.
    """

    def __init__(
        self, version: str, port: int, extra: Mapping[str, str], listeners: Sequence[Listener]
    ) -> None:
        self.source = f"Apache Kafka {version} on Docker"
        self._docker = find_docker()
        self._name = f"anabranch-devkafka-{secrets.token_hex(4)}"
        settings = server_properties(
            bind="0.0.0.0",  # inside the container; published on loopback only
            port=port,
            controller_port=port + 1,
            data="/var/lib/kafka/data",
            listeners=listeners,
            extra=extra,
        )
        variables = {**as_environment(settings), "KAFKA_HEAP_OPTS": "-Xmx512m"}
        options = [f"--env={name}={value}" for name, value in variables.items()]
        ports = [port, *(listener.port for listener in listeners)]
        image = f"apache/kafka:{version}"
        try:
            self._run(
                "create",
                f"--name={self._name}",
                *(f"--publish=127.0.0.1:{one}:{one}" for one in ports),
                *options,
                image,
            )
        except DevKafkaError as error:
            raise DevKafkaMissingError(f"no container of {image}: {error}") from error

    def command(self) -> list[str]:
        return [self._docker, "start", "--attach", self._name]

    def on_orphan(self) -> str:
        return shlex.join([self._docker, "rm", "--force", "--volumes", self._name])

    def signal(self, pid: int, number: signal.Signals) -> None:  # noqa: ARG002 (not our process)
        self._run("kill", f"--signal={number.name}", self._name)

    def discard(self) -> None:
        self._run("rm", "--force", "--volumes", self._name)

    def _run(self, *arguments: str) -> None:
        command = [self._docker, *arguments]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode != 0:
            raise DevKafkaError(f"docker {arguments[0]} failed:\n{done.stderr.strip()}")


def find_docker() -> str:
    """Path of a Docker client whose engine answers.

    Raises:
        DevKafkaMissingError: There is no client, or no engine behind it.
    """
    docker = shutil.which("docker")
    if docker is None:
        raise DevKafkaMissingError("no docker")
    try:
        done = subprocess.run(
            [docker, "version", "--format", "{{.Server.Version}}"],
            capture_output=True,
            check=False,
            timeout=10,
        )
    except subprocess.TimeoutExpired as error:
        raise DevKafkaMissingError("the Docker engine does not answer") from error
    if done.returncode != 0:
        raise DevKafkaMissingError("the Docker engine does not answer")
    return docker
