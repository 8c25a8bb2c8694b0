"""Findings as SARIF 2.1.0 (OASIS), which code review shows beside the lines they are about."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import PurePath
from typing import Any, Final

from anabranch.specs.lint.rule import RULES, Finding, Severity

__all__ = ["sarif"]

_LEVELS: Final = {Severity.ERROR: "error", Severity.WARNING: "warning", Severity.INFO: "note"}


def sarif(findings: Iterable[Finding], version: str) -> dict[str, Any]:
    """A SARIF log of one run.

    Args:
        findings: What was found; files become URIs relative to where the command ran.
        version: Of anabranch.
    """
    rules = sorted(RULES.values(), key=lambda rule: rule.code)
    position = {rule.code: i for i, rule in enumerate(rules)}
    return {
        "$schema": "https://json.schemastore.org/sarif-2.1.0.json",
        "version": "2.1.0",
        "runs": [
            {
                "tool": {
                    "driver": {
                        "name": "anabranch",
                        "semanticVersion": version,
                        "rules": [
                            {
                                "id": rule.code,
                                "name": rule.name,
                                "shortDescription": {"text": rule.title},
                                "help": {"text": rule.why},
                                "defaultConfiguration": {"level": _LEVELS[rule.severity]},
                            }
                            for rule in rules
                        ],
                    }
                },
                "results": [_result(finding, position) for finding in findings],
            }
        ],
    }


def _result(finding: Finding, position: dict[str, int]) -> dict[str, Any]:
    kind, key, version = finding.spec
    message = finding.as_dict()
    told = f"{message['path']}: {finding.message}" if finding.path else finding.message
    result: dict[str, Any] = {
        "ruleId": finding.rule.code,
        "ruleIndex": position[finding.rule.code],
        "level": _LEVELS[finding.rule.severity],
        "message": {"text": f"{kind} {key} {version}: {told}"},
        # The same finding keeps its fingerprint when lines move.
        "partialFingerprints": {
            "anabranch/v1": f"{finding.rule.code}|{kind}|{key}|{message['path']}"
        },
    }
    if finding.file is not None:
        location: dict[str, Any] = {
            "artifactLocation": {"uri": PurePath(finding.file).as_posix()},
        }
        if finding.line is not None:
            location["region"] = {"startLine": finding.line}
        result["locations"] = [{"physicalLocation": location}]
    return result
