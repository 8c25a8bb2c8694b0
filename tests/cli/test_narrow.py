"""Tables in terminals that are too narrow for them: what matters most is not what is cut off."""

from __future__ import annotations

import pytest

from anabranch.cli import history
from anabranch.cli import list as listing
from anabranch.cli.console import fits, out, table
from anabranch.lifecycle import AuditEntry

PAUSED = AuditEntry(
    at="2026-01-31T12:00:00.000Z",
    who="bob@till-4",
    action="pause",
    kind="Experiment",
    key="checkout.button",
    version="1.0.0",
    from_version="1.0.0",
    from_digest="0123456789abcdef",
    to_digest="fedcba9876543210",
    why="support calls [twice]",
    changes=("status: running -> paused",),
    via="dashboard",
)
ROW = {
    "kind": "Experiment",
    "key": "checkout.button",
    "version": "1.0.0",
    "status": "paused",
    "holds": True,
    "digest": "fedcba9876543210",
    "from": "topic",
    "published": "2026-01-31T12:00:00.000Z",
    "by": "bob@till-4",
}


@pytest.fixture
def columns(monkeypatch):
    return lambda width: monkeypatch.setattr(out, "width", width)


def test_a_table_fits_to_the_column(columns):
    listed = table("a", "b")
    listed.add_row("12345", "123456789")
    columns(14)
    assert not fits(listed)
    columns(15)
    assert fits(listed)


def test_history_is_told_in_paragraphs_where_the_table_is_too_wide(columns, capsys):
    columns(100)
    history.show([PAUSED])
    assert capsys.readouterr().out.splitlines() == [
        "2026-01-31T12:00:00.000Z pause by bob@till-4 (dashboard): support calls [twice]",
        "  Experiment checkout.button 1.0.0, 0123456789abcdef to fedcba9876543210",
        "  status: running -> paused",
    ]
    columns(240)
    history.show([PAUSED])
    head, _, row = capsys.readouterr().out.splitlines()
    assert head.split() == ["when", "who", "did", "spec", "from", "to", "why", "changes"]
    assert "support calls [twice]" in row


@pytest.mark.parametrize(
    ("width", "last"), [(240, "digest"), (95, "by"), (80, "published"), (60, "holds")]
)
def test_the_list_leaves_out_what_matters_least(columns, capsys, width, last):
    columns(width)
    listing.show([ROW])
    head, _, row = capsys.readouterr().out.splitlines()
    assert head.split()[-1] == last
    assert "checkout.button" in row
