"""deploy/Dockerfile, as far as it can be read without an engine: what it copies, runs and forbids."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from fnmatch import fnmatch
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from tests.deploy.support import DEPLOY, ROOT, parse_command

TEXT = (DEPLOY / "Dockerfile").read_text(encoding="utf-8")
CHECK = DEPLOY / "healthcheck.py"


def instructions() -> list[tuple[str, str]]:
    joined = re.sub(r"\\\n\s*", " ", TEXT)
    lines = [line for line in joined.splitlines() if line and not line.startswith("#")]
    return [(word, rest.strip()) for word, _, rest in (line.partition(" ") for line in lines)]


def last_stage() -> dict[str, str]:
    """The last value of each instruction of the stage that becomes the image."""
    found: dict[str, str] = {}
    for word, rest in instructions():
        if word == "FROM":
            found.clear()
        found[word] = rest
    return found


def last_stage_run(word: str) -> str:
    """The one RUN of the last stage that has the word."""
    last = instructions()[max(n for n, (name, _) in enumerate(instructions()) if name == "FROM") :]
    (found,) = (rest for name, rest in last if name == "RUN" and word in rest)
    return found


def sources() -> list[str]:
    """What is copied from the build context."""
    copies = [rest.split() for word, rest in instructions() if word == "COPY"]
    return [name for copy in copies if not copy[0].startswith("--from") for name in copy[:-1]]


def test_what_is_copied_exists_and_is_not_ignored():
    ignored = (ROOT / ".dockerignore").read_text(encoding="utf-8").split()
    assert ignored[0] == "*"
    let_in = [line.removeprefix("!") for line in ignored if line.startswith("!")]
    assert sources()
    for source in sources():
        assert (ROOT / source).exists(), source
        assert any(fnmatch(source, one) for one in let_in), f".dockerignore keeps {source} out"


def test_nothing_is_let_into_the_context_that_is_not_copied():
    lines = (ROOT / ".dockerignore").read_text(encoding="utf-8").split()
    assert {line[1:] for line in lines if line.startswith("!")} == set(sources())


def test_what_the_wheel_is_built_from_is_copied():
    """pyproject.toml names files outside of src."""
    build = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    included = re.findall(r'^"(docs/[^"]+)" = "anabranch/', build, flags=re.MULTILINE)
    assert included
    assert set(included) <= set(sources())


def test_installed_from_the_lock_with_hashes():
    runs = [rest for word, rest in instructions() if word == "RUN"]
    assert any("--require-hashes --requirement requirements-image.lock" in run for run in runs)
    installs = [run for run in runs if re.search(r"\bpip\b.* install ", run)]
    assert len(installs) == 2
    assert all("--no-index" in run for run in installs)


def test_the_user_is_not_root_and_is_a_number():
    """Kubernetes' runAsNonRoot holds only for numbers: a name might be root's."""
    user, group = last_stage()["USER"].split(":")
    assert int(user) > 0
    assert int(group) > 0


def test_user_group_and_owner_of_the_state_are_one_number():
    """``useradd --system`` with a number of one's own gives the group another one."""
    user, group = last_stage()["USER"].split(":")
    made = last_stage_run("useradd")
    assert f"groupadd --gid {group} " in made
    assert f"useradd --uid {user} --gid {group} " in made
    assert "--system" not in made
    assert f"install --directory --owner {user} --group {group} " in made
    assert user == group


def test_needs_no_extension_of_one_builder():
    """``RUN --mount=from=`` of a cached stage is empty in buildah 1.28, which is Debian 12's."""
    runs = [rest for word, rest in instructions() if word == "RUN"]
    assert not [run for run in runs if run.startswith("--")]
    assert "# syntax=" not in TEXT


def test_the_image_has_no_pip_of_its_own():
    (made,) = (rest for word, rest in instructions() if "python -m venv" in rest)
    assert "venv --without-pip /opt/anabranch" in made
    assert "pip --python /opt/anabranch/bin/python install" in made


def test_stages_that_are_copied_from_exist():
    stages = {rest.split(" AS ")[1] for word, rest in instructions() if " AS " in rest}
    named = re.findall(r"--from=([a-z]+)", TEXT)
    assert named
    assert set(named) <= stages


def test_entry_point_and_default_are_a_command():
    stage = last_stage()
    assert json.loads(stage["ENTRYPOINT"]) == ["anabranch"]
    assert json.loads(stage["CMD"]) == ["--help"]
    assert stage["STOPSIGNAL"] == "SIGTERM"


def test_the_ports_are_those_that_are_asked_and_listened_on():
    asked = re.search(r"^WORKER, DASHBOARD, SERVE = (.+)$", CHECK.read_text(), re.MULTILINE)
    assert asked is not None
    ports = [int(one) for one in asked[1].split(",")]
    assert [int(one) for one in last_stage()["EXPOSE"].split()] == ports
    assert parse_command(["dashboard"])["port"] == ports[1]
    assert parse_command(["serve"])["port"] == ports[2]


def test_the_health_check_is_the_file_that_is_copied():
    command = json.loads(last_stage()["HEALTHCHECK"].partition("CMD ")[2])
    assert command == ["python", "/opt/anabranch/healthcheck.py"]
    assert "COPY deploy/healthcheck.py /opt/anabranch/healthcheck.py" in TEXT


@contextmanager
def answering(status: int) -> Iterator[int]:
    """A server on loopback whose every answer has the status; gives its port."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(status if self.path == "/livez" else 404)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    server = HTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield server.server_port
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.mark.parametrize(("status", "code"), [(200, 0), (503, 1)])
def test_the_health_check_asks(status, code):
    with answering(status) as port:
        done = subprocess.run(
            [sys.executable, CHECK, str(port)], capture_output=True, text=True, check=False
        )
    assert done.returncode == code, done.stderr
    assert (str(status) in done.stderr) == bool(code)


def test_the_health_check_fails_when_nothing_listens():
    with answering(200) as port:
        pass
    done = subprocess.run(
        [sys.executable, CHECK, str(port)], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr.strip()) == (1, f"nothing listens on {port}")
