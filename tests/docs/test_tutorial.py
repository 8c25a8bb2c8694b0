"""docs/tutorial.md, followed to the letter, in one shell.

Nothing is done that the page does not tell, and nothing is left out but the section that installs
anabranch: it is installed where the tests run.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.docs.walk import Save, Shell, Type, follow, matches, steps

PAGE = (Path(__file__).parents[2] / "docs" / "tutorial.md").read_text(encoding="utf-8")
BEFORE, INSTALL, REST = PAGE.partition("\n## 1. Install\n")
INSTALL, _, REST = REST.partition("\n## 2. ")
EMBEDDED, _, ON_KAFKA = REST.partition("\n## 6. ")


def test_the_page_installs_and_nothing_else_is_left_out():
    assert not steps(BEFORE)
    assert [step.command.split()[0] for step in steps(INSTALL) if isinstance(step, Type)] == [
        "git",
        "cd",
        "make",
        "source",
        "cd",
    ]


def test_the_page_is_followed_without_kafka(tmp_path):
    with Shell(tmp_path, {"COLUMNS": "120"}) as shell:
        follow(EMBEDDED, shell)


@pytest.mark.parametrize(
    ("shown", "printed", "held"),
    [
        (("a  b", "─…"), "a b\n\n────────\n", True),
        (("took … s",), "took 1.5 s\n", True),
        (("…", "last"), "first\nsecond\nlast\n", True),
        (("…", "last"), "first\nlast\nmore\n", False),
        (("took … s",), "took 1.5 ms\n", False),
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
