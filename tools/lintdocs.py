"""Writes docs/lints.md from the rules' docstrings: ``python -m tools.lintdocs``."""

from __future__ import annotations

from pathlib import Path

from anabranch.specs.lint import RULES, Rule

PAGE = Path(__file__).resolve().parents[1] / "docs" / "lints.md"

HEAD = """\
# Lints

<!-- Written by `python -m tools.lintdocs` from the rules' docstrings. -->

`anabranch lint PATH…` finds what is valid and still unwise. It ends with 1 where it finds an error;
warnings and infos do not fail it. `--format sarif` is for code review, `--format json` for scripts.

Some rules need to know more than the specs say:

| option | tells |
| --- | --- |
| `--since GITREF` | how the specs were there, for AB101 |
| `--published FILE` | what is published: the output of `anabranch list --json`, for AB101 |
| `--results FILE` | results: the output of `anabranch replay --json`, for AB112 |
| `--longest DAYS` | how long an experiment may run, for AB102 |

A finding that is meant is silenced where it stands, with a reason:

```yaml
allocation:
  type: targeted
  rules:
    # anabranch: ignore AB110 -- internal tool, everybody may see it
    - variantId: multi_step
      expression: context.attributes?.segment === 'vip'
```

The comment stands behind the field, or above it; above a whole spec it holds for all of it. In a
Python file it holds for all specs of the file. JSON has no comments. `--ignore CODE` leaves a rule
out for all.

## The rules

"""


def page() -> str:
    """The whole page."""
    rules = sorted(RULES.values(), key=lambda rule: rule.code)
    rows = [
        f"| [{rule.code}](#{rule.code.lower()}) | {rule.severity} | {rule.name} | "
        f"{rule.practice or ''} |"
        for rule in rules
    ]
    table = ["| code | severity | name | best practice |", "| --- | --- | --- | --- |", *rows]
    return HEAD + "\n".join(table) + "\n" + "".join(map(_section, rules))


def _section(rule: Rule) -> str:
    return f"\n### {rule.code}\n\n**{rule.title}** ({rule.severity})\n\n{rule.why}\n"


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
    print(PAGE)
