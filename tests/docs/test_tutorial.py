"""docs/tutorial.md, followed to the letter, in one shell.

Nothing is done that the page does not tell. Left out are the section that installs anabranch, which
is installed where the tests run, and the command that starts a broker; the broker's address, the
two ports and the first part of the topics' names are the tests' own, so that nothing else disturbs
them.
"""

from __future__ import annotations

import re
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.docs.walk import Save, Shell, Type, follow, matches, steps

PAGE = (Path(__file__).parents[2] / "docs" / "tutorial.md").read_text(encoding="utf-8")
BEFORE, INSTALL, REST = PAGE.partition("\n## 1. Install\n")
INSTALL, _, REST = REST.partition("\n## 2. ")
EMBEDDED, _, ON_KAFKA = REST.partition("\n## 6. ")
START_BROKER = '```console\n$ make kafka ARGS="--port 9092"\n```\n'


def test_the_page_installs_and_nothing_else_is_left_out():
    assert not steps(BEFORE)
    assert [step.command.split()[0] for step in steps(INSTALL) if isinstance(step, Type)] == [
        "git",
        "cd",
        "make",
        "source",
        "cd",
    ]


@pytest.fixture(scope="module")
def shell(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shell]:
    with Shell(tmp_path_factory.mktemp("tutorial"), {"COLUMNS": "120"}) as shell:
        yield shell


@pytest.fixture(scope="module")
def embedded(shell: Shell) -> Shell:
    """The shell of a reader who has come to Kafka."""
    follow(EMBEDDED, shell)
    return shell


def test_the_page_is_followed_without_kafka(embedded):
    assert embedded.run("ls specs/*experiment.yaml events.jsonl")[0] == 0


def test_the_page_is_followed_to_its_end_on_kafka(embedded, kafka, topic_prefix):
    assert ON_KAFKA.count(START_BROKER) == 1
    page = ON_KAFKA.replace(START_BROKER, "").replace("localhost:9092", kafka)
    assert "9092" not in page
    ports = {port: str(free_port()) for port in ("8080", "8081")}
    page = re.sub(r"\b808[01]\b", lambda found: ports[found[0]], page)
    page = page.replace("created anabranch.", f"created {topic_prefix}.")
    assert embedded.run(f"export ANABRANCH_PREFIX={topic_prefix}")[0] == 0
    follow(page, embedded)


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


@pytest.mark.parametrize(
    ("shown", "printed", "held"),
    [
        (("a  b", "─…"), "a b\n\n────────\n", True),
        (("took … s",), "took 1.5 s\n", True),
        (("…", "last"), "first\nsecond\nlast\n", True),
        (("…", "last"), "first\nlast\nmore\n", False),
        (("took … s",), "took 1.5 ms\n", False),
        (("took …",), "took\n", True),
        (("took …",), "took 1.5 ms\n", True),
        (("took …",), "tooken\n", False),
        (("a",), "a\nb\n", False),
        (("a", "b"), "a\n", False),
        (("a.c",), "abc\n", False),
    ],
)
def test_what_is_shown_is_compared_whole(shown, printed, held):
    assert matches(shown, printed) == held


def test_a_page_is_read_as_files_and_commands():
    page = "```console\n$ cat \\\n  x.py\nx\n$ ls\n```\nSave\n```python\n# x.py\n```\n```python\n1\n```\n"
    assert steps(page) == [Type("cat \\\n  x.py", ("x",)), Type("ls", ()), Save("x.py", "# x.py\n")]


def test_a_command_that_does_otherwise_than_shown_is_found(tmp_path):
    with Shell(tmp_path, {}) as shell:
        follow("```console\n$ mkdir a\n$ cd a\n$ pwd\n…/a\n$ (exit 3); echo x\nx\n```\n", shell)
        for page in ("$ echo a\nb\n", "$ (exit 3)\n", "$ echo error: no\nerror: no\n"):
            with pytest.raises(AssertionError, match=r"is not what|ended with"):
                follow(f"```console\n{page}```\n", shell)
        with pytest.raises(AssertionError, match="ended the shell"):
            follow("```console\n$ exit 0\n```\n", shell)
