"""docker-compose.yml: its commands are parsed by the real command line, its files and settings exist."""

from __future__ import annotations

import re
from typing import Any

import pytest

from anabranch.settings import load_settings
from tests.deploy.support import ROOT, SETTINGS, load, parse_command

FILE = ROOT / "docker-compose.yml"
COMPOSE = load(FILE)
SERVICES: dict[str, Any] = COMPOSE["services"]
OURS = {name: one for name, one in SERVICES.items() if one["image"] == "anabranch"}


def test_everything_is_there():
    assert set(OURS) == {"topics", "worker", "dashboard", "serve"}
    assert set(SERVICES) - set(OURS) == {"kafka", "prometheus", "grafana"}


@pytest.mark.parametrize("name", OURS)
def test_commands_are_those_of_the_command_line(name):
    command = SERVICES[name]["command"]
    assert all(isinstance(word, str) for word in command), "quote what YAML takes for a number"
    parsed = parse_command(command)
    assert parsed["command"] == {"topics": "create"}.get(name, name)


@pytest.mark.parametrize("name", OURS)
def test_settings_are_real_and_valid(name, monkeypatch):
    given = SERVICES[name]["environment"]
    assert set(given) <= SETTINGS
    for key, value in given.items():
        monkeypatch.setenv(key, value)
    settings = load_settings()
    assert settings.bootstrap == "kafka:19092"


@pytest.mark.parametrize("name", OURS)
def test_ours_have_no_more_rights_than_they_need(name):
    one = SERVICES[name]
    assert one["read_only"] is True
    assert one["tmpfs"] == ["/tmp"]
    assert one["cap_drop"] == ["ALL"]
    assert one["security_opt"] == ["no-new-privileges:true"]
    assert not one.get("privileged")


def test_ports_are_published_to_this_machine_alone():
    ports = [port for one in SERVICES.values() for port in one.get("ports", [])]
    assert len({port.split(":")[1] for port in ports}) == len(ports) == 5
    assert all(port.startswith("127.0.0.1:") for port in ports)


def test_published_ports_are_listened_on():
    for name in ("dashboard", "serve"):
        parsed = parse_command(SERVICES[name]["command"])
        assert parsed["host"] == "0.0.0.0"
        assert SERVICES[name]["ports"] == [f"127.0.0.1:{parsed['port']}:{parsed['port']}"]


def test_what_is_depended_on_and_mounted_exists():
    for one in SERVICES.values():
        for needed in one.get("depends_on", []):
            assert needed in SERVICES
        for volume in one.get("volumes", []):
            source = re.sub(r"^\$\{\w+:-([^}]+)\}", r"\1", volume).split(":")[0]
            if source.startswith("."):
                assert (FILE.parent / source).exists(), source
            else:
                assert source in COMPOSE["volumes"]


def test_images_of_others_are_pinned():
    for name in set(SERVICES) - set(OURS):
        assert re.search(r":v?\d+\.\d+\.\d+$", SERVICES[name]["image"]), name


def test_the_built_image_is_the_dockerfile():
    build = OURS["worker"]["build"]
    assert (FILE.parent / build["context"] / build["dockerfile"]).is_file()
