"""Short forms of what flags give: one line for a variant, an override, a rule, a metric, an event.

Each function takes the line and returns that part of a document. Wherever a line is too short a
form, its JSON object may be given instead.
"""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Mapping
from typing import Any, Final

from anabranch.specs.overrides import KIND_OF_TARGET

__all__ = [
    "FORMS",
    "consent",
    "event",
    "metric",
    "override",
    "policy_rule",
    "reference",
    "targeting_rule",
    "variant",
]

FORMS: Final[Mapping[str, str]] = {
    "variant": "ID[:WEIGHT] [NAME]",
    "override": "VARIANT TYPE TARGET[@VERSION] [CONFIG]",
    "rule": "VARIANT [PERCENT%] [policy=KEY[@VERSION]] [when EXPRESSION]",
    "metric": "NAME: EVENT[@VERSION] AGGREGATION [FIELD=VALUE …]",
    "event": "KEY[@VERSION] [PROPERTY:TYPE[!][:pii][:redact] …] [FIELD=VALUE …]",
    "policy rule": "EFFECT ACTION[,ACTION] [FIELD=VALUE …] [when EXPRESSION]",
    "consent": "ID [PURPOSE]",
}
"""What to write, for help and for messages."""

_METRIC_FIELDS: Final = (
    "property", "direction", "target", "window", "after", "per", "denominator", "steps",
    "guardrail",
)  # fmt: skip
_EVENT_FIELDS: Final = (
    "privacy", "tags", "who", "what", "why", "sampling", "retention",
)  # fmt: skip
_RULE_FIELDS: Final = ("roles", "flags", "consents", "reason")


def variant(line: str) -> dict[str, Any]:
    """``multi_step:2 Multi-step form`` is an id, a weight and a name.

    Raises:
        ValueError: It has another form; the message says which is right. So for all of these.
    """
    given = _json(line)
    if given is not None:
        return given
    head, _, name = line.strip().partition(" ")
    if not head:
        raise _wrong("variant", line)
    id_, colon, weight = head.rpartition(":")
    made: dict[str, Any] = {"id": id_, "weight": _number(weight)} if colon else {"id": head}
    if colon and not id_:
        raise _wrong("variant", line)
    if name.strip():
        made["name"] = name.strip()
    return made


def override(line: str) -> tuple[str, dict[str, Any]]:
    """The variant's id and the override of ``green theme shop.theme@1.0.0 {"colour": "green"}``."""
    parts = line.split(maxsplit=3)
    if len(parts) < 3:
        raise _wrong("override", line)
    id_, kind, target, *rest = parts
    if kind not in KIND_OF_TARGET:
        types = ", ".join(KIND_OF_TARGET)
        raise ValueError(f"{kind!r} is no type of target: there are {types}")
    key, version = _named(target)
    made: dict[str, Any] = {"type": kind, "target": key}
    if version:
        made["version"] = version
    if rest:
        config = _json(rest[0])
        if config is None:
            raise ValueError(f"the config {rest[0]!r} is no JSON object: it is a JSON merge patch")
        made["config"] = config
    return id_, made


def targeting_rule(line: str) -> dict[str, Any]:
    """``green 25% policy=shop.staff when context.attributes?.plan === 'pro'``."""
    given = _json(line)
    if given is not None:
        return given
    head, expression = _condition(line)
    words = head.split()
    if not words:
        raise _wrong("rule", line)
    made: dict[str, Any] = {"variantId": words[0]}
    for word in words[1:]:
        if word.endswith("%"):
            made["percentage"] = round(_number(word[:-1]) / 100, 9)
        elif word.startswith("policy="):
            made["policy"] = reference(word.removeprefix("policy="))
        else:
            raise _wrong("rule", line)
    if expression:
        made["expression"] = expression
    return made


def metric(line: str) -> dict[str, Any]:
    """``Revenue: shop.order_placed@1.0.0 sum property=amount window=7d``.

    A guardrail is ``guardrail=0``, or with what it tolerates and does: ``guardrail=0.01,pause``.
    """
    given = _json(line)
    if given is not None:
        return given
    name, colon, rest = line.partition(": ")
    words = _words("metric", rest)
    if not colon or not name.strip() or len(words) < 2:
        raise _wrong("metric", line)
    made: dict[str, Any] = {
        "name": name.strip(),
        "telemetryEvent": reference(words[0]),
        "aggregation": words[1],
    }
    for field, value in _fields("metric", words[2:], _METRIC_FIELDS).items():
        if field == "target":
            made[field] = _number(value)
        elif field == "guardrail":
            made[field] = _guardrail(value)
        elif field == "steps":
            made[field] = [reference(one) for one in _list(value)]
        elif field == "denominator":
            event_, slash, property_ = value.partition("/")
            made[field] = {"telemetryEvent": reference(event_)}
            if slash:
                made[field]["property"] = property_
        else:
            made[field] = value
    return made


def event(line: str) -> dict[str, Any]:
    """``shop.order amount:number! email:string:pii tags=privacy-reviewed who="a shopper"``."""
    given = _json(line)
    if given is not None:
        return given
    words = _words("event", line)
    if not words:
        raise _wrong("event", line)
    key, version = _named(words[0])
    made: dict[str, Any] = {"key": key, "version": version or "1.0.0"}
    pairs = [word for word in words[1:] if "=" in word]
    fields = _fields("event", pairs, _EVENT_FIELDS)
    semantics = {name: fields[name] for name in ("who", "what", "why") if name in fields}
    if semantics:
        made["semantics"] = semantics
    properties = dict(_property(word) for word in words[1:] if "=" not in word)
    if properties:
        made["properties"] = properties
    if "privacy" in fields:
        made["privacy"] = fields["privacy"]
    if "retention" in fields:
        made["retention"] = {"days": _whole(fields["retention"])}
    if "sampling" in fields:
        made["sampling"] = {"rate": _number(fields["sampling"])}
    if "tags" in fields:
        made["tags"] = _list(fields["tags"])
    return made


def policy_rule(line: str) -> dict[str, Any]:
    """``allow experiment_targeting roles=staff attribute.plan=pro when context.x === 1``."""
    given = _json(line)
    if given is not None:
        return given
    head, expression = _condition(line)
    words = _words("policy rule", head)
    if len(words) < 2:
        raise _wrong("policy rule", line)
    made: dict[str, Any] = {"effect": words[0], "actions": _list(words[1])}
    attributes = [word for word in words[2:] if word.startswith("attribute.")]
    others = [word for word in words[2:] if word not in attributes]
    fields = _fields("policy rule", others, _RULE_FIELDS)
    subject: dict[str, Any] = {}
    if "roles" in fields:
        subject["roles"] = _list(fields["roles"])
    wanted = (word.removeprefix("attribute.").partition("=") for word in attributes)
    equal = {name: {"equals": _value(value)} for name, _, value in wanted}
    if equal:
        subject["attributes"] = equal
    if subject:
        made["subject"] = subject
    if "flags" in fields:
        made["flags"] = _list(fields["flags"])
    if "consents" in fields:
        made["requiresConsent"] = _list(fields["consents"])
    if expression:
        made["conditions"] = [{"expression": expression}]
    if "reason" in fields:
        made["reason"] = fields["reason"]
    return made


def consent(line: str) -> dict[str, Any]:
    """``marketing To tell of offers`` is an id and a purpose."""
    given = _json(line)
    if given is not None:
        return given
    id_, _, purpose = line.strip().partition(" ")
    if not id_:
        raise _wrong("consent", line)
    return {"id": id_, "purpose": purpose.strip()} if purpose.strip() else {"id": id_}


def reference(text: str) -> dict[str, Any]:
    """``shop.staff@1.0.0`` or ``shop.staff``."""
    key, version = _named(text)
    return {"key": key, "version": version} if version else {"key": key}


# -- parts of lines ---------------------------------------------------------------------------


def _named(text: str) -> tuple[str, str]:
    """Key and version; a key may itself begin with an @, as those of npm packages do."""
    key, at, version = text.rpartition("@")
    return (key, version) if at and key else (text, "")


def _property(word: str) -> tuple[str, dict[str, Any]]:
    name, *rest = word.split(":")
    if not name or not rest or set(rest[1:]) - {"pii", "redact"}:
        raise _wrong("event", word)
    made: dict[str, Any] = {"type": rest[0].removesuffix("!")}
    if rest[0].endswith("!"):
        made["required"] = True
    return name, made | dict.fromkeys(rest[1:], True)


def _guardrail(text: str) -> dict[str, Any]:
    """``0.01,pause``: how much harm is tolerated, and what is done about more."""
    made: dict[str, Any] = {}
    for word in _list(text):
        if word in {"alert", "pause"}:
            made["onBreach"] = word
        elif _number(word):
            made["tolerance"] = _number(word)
    return made


def _condition(line: str) -> tuple[str, str]:
    """What stands before the word ``when``, and the expression after it."""
    parts = re.split(r"(?:^|\s)when\s", line, maxsplit=1)
    return parts[0], parts[1].strip() if len(parts) > 1 else ""


def _fields(form: str, words: list[str], known: tuple[str, ...]) -> dict[str, str]:
    found: dict[str, str] = {}
    for word in words:
        name, equals, value = word.partition("=")
        if not equals or name not in known:
            raise ValueError(
                f"{word!r} is no field of a {form}: those are {', '.join(known)}, as NAME=VALUE; "
                "the JSON object may say more"
            )
        found[name] = value
    return found


def _words(form: str, text: str) -> list[str]:
    try:
        return shlex.split(text)
    except ValueError as error:
        raise ValueError(f"{text!r}: {error}: write {FORMS[form]}") from None


def _json(line: str) -> dict[str, Any] | None:
    """The object, where the line is one."""
    if not line.lstrip().startswith("{"):
        return None
    try:
        found = json.loads(line)
    except json.JSONDecodeError as error:
        raise ValueError(f"{line!r} is not JSON: column {error.colno}: {error.msg}") from None
    return found if isinstance(found, dict) else None


def _value(text: str) -> Any:
    """JSON where it is some, else text."""
    try:
        return json.loads(text)
    except json.JSONDecodeError:
        return text


def _number(text: str) -> int | float:
    try:
        number = float(text)
    except ValueError:
        raise ValueError(f"{text!r} is no number") from None
    return int(number) if number.is_integer() else number


def _whole(text: str) -> int:
    try:
        return int(text)
    except ValueError:
        raise ValueError(f"{text!r} is no whole number") from None


def _list(text: str) -> list[str]:
    return [one.strip() for one in text.split(",") if one.strip()]


def _wrong(form: str, line: str) -> ValueError:
    return ValueError(f"{line!r} is no {form}: write {FORMS[form]}, or a JSON object")
