"""docs/dashboard.md: the people's file and the request it shows are such as the dashboard takes."""

from __future__ import annotations

import json
import re
from pathlib import Path

import msgspec

from anabranch.web.access import Client, read_clients
from anabranch.web.lifecycle import Asked

PAGE = (Path(__file__).parents[2] / "docs" / "dashboard.md").read_text(encoding="utf-8")


def test_the_file_with_people(tmp_path):
    (shown,) = re.findall(r"```json\n(.*?)```", PAGE, flags=re.DOTALL)
    file = tmp_path / "people.json"
    file.write_text(shown, encoding="utf-8")
    assert read_clients([], file) == [
        Client("ada", "…"),
        Client("checkout team", "…", ("checkout.*",)),
    ]


def test_the_request_of_a_script():
    (body,) = re.findall(r"-d '(\{.*?\})'", PAGE, flags=re.DOTALL)
    asked = msgspec.convert(json.loads(body), Asked)
    assert (asked.action, asked.percent, asked.dry_run) == ("ramp", 25, False)
