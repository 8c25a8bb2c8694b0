"""The broker's jars, gathered once by Maven into a cache that all checkouts share."""

import fcntl
import os
import re
import shutil
import subprocess
import tempfile
from pathlib import Path

from tools.devkafka.errors import DevKafkaError, DevKafkaMissingError

_POM = Path(__file__).with_name("pom.xml")
_OLDEST_JAVA = 17
_MAVEN_SECONDS = 600


def find_java() -> str:
    """Path of a Java of version 17 or later.

    Raises:
        DevKafkaMissingError: There is none.
    """
    home = os.environ.get("JAVA_HOME")
    java = shutil.which("java", path=f"{home}/bin") if home else None
    java = java or shutil.which("java")
    if java is None:
        raise DevKafkaMissingError("no java: install a JRE of version 17 or later")
    told = subprocess.run([java, "-version"], capture_output=True, text=True, check=False).stderr
    version = re.search(r'version "(\d+)', told)
    if version is None or int(version[1]) < _OLDEST_JAVA:
        said = told.strip().splitlines()[0] if told.strip() else "nothing"
        raise DevKafkaMissingError(
            f"java is too old ({said}): install a JRE of version 17 or later"
        )
    return java


def gather_jars(version: str) -> Path:
    """Directory with the jars of that Kafka version; downloaded when they are not there yet.

    Raises:
        DevKafkaMissingError: They are not there and there is no Maven.
        DevKafkaError: Maven failed.
    """
    cache = _cache()
    jars = cache / f"kafka-{version}"
    if jars.is_dir():
        return jars
    maven = shutil.which("mvn")
    if maven is None:
        raise DevKafkaMissingError("no mvn: install Maven, which fetches the broker's jars")
    cache.mkdir(parents=True, exist_ok=True)
    with (cache / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not jars.is_dir():
            _download(maven, version, jars)
    return jars


def _cache() -> Path:
    named = os.environ.get("ANABRANCH_KAFKA_CACHE")
    if named:
        return Path(named)
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path.home() / ".cache") / "anabranch"


def _download(maven: str, version: str, jars: Path) -> None:
    with tempfile.TemporaryDirectory(dir=jars.parent, prefix="gathering-") as scratch:
        gathered = Path(scratch) / "jars"
        command = [
            maven,
            "--quiet",
            "--batch-mode",
            f"--file={_POM}",
            "dependency:copy-dependencies",
            f"-Dkafka.version={version}",
            f"-DoutputDirectory={gathered}",
        ]
        done = subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
            timeout=_MAVEN_SECONDS,
        )
        if done.returncode != 0:
            raise DevKafkaError(
                f"Maven could not gather the jars of Kafka {version}:\n{done.stdout}{done.stderr}"
            )
        gathered.rename(jars)
