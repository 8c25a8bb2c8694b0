"""What ``anabranch init`` lays out beside the starter files: settings of the editor, its schema."""

from __future__ import annotations

import json
from typing import Any, Final

from anabranch.errors import SpecLoadError
from anabranch.specs.schema import json_schema

__all__ = ["EXTENSIONS", "SCHEMA", "SETTINGS", "extensions", "modeline", "schema_text", "settings"]

SCHEMA: Final = "specs/.schemas/specs.schema.json"
"""Hidden, since every other ``.json`` file of a specs folder is read as specs."""
SETTINGS: Final = ".vscode/settings.json"
EXTENSIONS: Final = ".vscode/extensions.json"

_YAML: Final = ["specs/**/*.yaml", "specs/**/*.yml"]
_JSON: Final = ["/specs/**/*.json", "!/specs/.schemas/**"]
_EXTENSION: Final = "redhat.vscode-yaml"


def schema_text() -> str:
    """The JSON Schema of any spec file."""
    return json.dumps(json_schema(), indent=2, ensure_ascii=False) + "\n"


def settings(existing: str | None = None) -> str:
    """Visual Studio Code's settings with the schema wired to the specs, the others kept.

    Raises:
        SpecLoadError: The existing ones are not plain JSON, so they cannot be added to safely; the
            message has what to add by hand.
    """
    found = _object(existing, SETTINGS, settings)
    yaml_schemas = found.get("yaml.schemas")
    found["yaml.schemas"] = {
        **(yaml_schemas if isinstance(yaml_schemas, dict) else {}),
        f"./{SCHEMA}": _YAML,
    }
    ours = {"fileMatch": _JSON, "url": f"./{SCHEMA}"}
    others = found.get("json.schemas")
    found["json.schemas"] = [
        *(
            one
            for one in (others if isinstance(others, list) else [])
            if not (isinstance(one, dict) and one.get("url") == ours["url"])
        ),
        ours,
    ]
    return _text(found)


def extensions(existing: str | None = None) -> str:
    """The extensions that the folder recommends, that of YAML among them.

    Raises:
        SpecLoadError: As :func:`settings`.
    """
    found = _object(existing, EXTENSIONS, extensions)
    given = found.get("recommendations")
    known = given if isinstance(given, list) else []
    found["recommendations"] = [*(one for one in known if one != _EXTENSION), _EXTENSION]
    return _text(found)


def modeline(schema: str) -> str:
    """First line of a YAML file: editors with the YAML language server check by that schema."""
    return f"# yaml-language-server: $schema={schema}\n"


def _object(existing: str | None, name: str, make: Any) -> dict[str, Any]:
    if existing is None or not existing.strip():
        return {}
    try:
        found = json.loads(existing)
    except json.JSONDecodeError as error:
        raise SpecLoadError(
            f"{name} is not plain JSON (line {error.lineno}: {error.msg}), perhaps for its "
            f"comments, so it is left as it is. Add to it by hand:\n{make()}"
        ) from error
    if not isinstance(found, dict):
        raise SpecLoadError(f"{name} is no object: mend it, or take it away")
    return found


def _text(value: dict[str, Any]) -> str:
    return json.dumps(value, indent=2, ensure_ascii=False) + "\n"
