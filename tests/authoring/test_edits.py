"""Patches put into the text of spec files: what else is there stays to the letter."""

from __future__ import annotations

import difflib
import json
from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from anabranch.authoring.edits import edited
from anabranch.authoring.yamltext import NotSplicedError, spliced
from anabranch.errors import OverrideError
from anabranch.specs import Override
from anabranch.specs.loading import specs_of_text
from anabranch.specs.overrides import overridden
from anabranch.specs.patches import merged
from anabranch.specs.writing import to_python

THEME = """\
# Looks of the shop: ümlaut — before everything
kind: Theme
meta: {key: shop.theme, version: 1.0.0} # who it is
button:
  colour: grey # the order button
  rounded: true

  shadow:   'soft'
  sizes: # in pixels
    - 1
    - 2 # two
spacing: {small: 4, large: 8} # flow
text: |
  several
  lines
nothing:
last: 1 # the end
"""


def change(text: str, patch: dict, name: str = "theme.yaml", key: str = "shop.theme") -> str:
    path = Path(name)
    spec = next(one for one in specs_of_text(text, path) if one.key == key)
    wanted = overridden(spec, Override(type="theme", target=key, config=patch))
    return edited(text, path, patch, wanted)


def difference(before: str, after: str) -> list[str]:
    lines = difflib.ndiff(before.splitlines(), after.splitlines())
    return sorted((one for one in lines if one[0] in "+-"), key=lambda one: one[0] == "+")


@pytest.mark.parametrize(
    ("patch", "told"),
    [
        (
            {"button": {"colour": "green"}},
            ["-   colour: grey # the order button", "+   colour: green # the order button"],
        ),
        (
            {"button": {"shadow": "it's hard"}},
            ["-   shadow:   'soft'", "+   shadow: 'it''s hard'"],
        ),
        ({"button": {"sizes": [3]}}, ["-     - 1", "-     - 2 # two", "+     - 3"]),
        ({"button": {"rounded": None}}, ["-   rounded: true"]),
        ({"button": {"sizes": None}}, ["-   sizes: # in pixels", "-     - 1", "-     - 2 # two"]),
        (
            {"button": {"border": {"width": 1, "gone": None}}},
            ["+   border:", "+     width: 1"],
        ),
        (
            {"spacing": {"small": 5, "huge": 16}},
            [
                "- spacing: {small: 4, large: 8} # flow",
                "+ spacing: {small: 5, large: 8, huge: 16} # flow",
            ],
        ),
        (
            {"spacing": {"large": None}},
            [
                "- spacing: {small: 4, large: 8} # flow",
                "+ spacing: {small: 4} # flow",
            ],
        ),
        ({"text": "one"}, ["- text: |", "-   several", "-   lines", "+ text: one"]),
        ({"nothing": {"a": [True]}}, ["+   a:", "+   - true"]),
        ({"last": "1.0"}, ["- last: 1 # the end", "+ last: '1.0' # the end"]),
        ({"new": "2030-01-01"}, ["+ new: '2030-01-01'"]),
    ],
)  # fmt: skip
def test_of_yaml_only_what_the_patch_names_changes(patch, told):
    assert difference(THEME, change(THEME, patch)) == told


def test_line_ends_and_the_byte_order_mark_stay():
    text = "\ufeff" + THEME.replace("\n", "\r\n")
    made = change(text, {"button": {"colour": "green"}})
    assert made == text.replace("colour: grey", "colour: green")


def test_of_several_documents_only_the_one_changes():
    other = "# another\nkind: Theme\nmeta: {key: other, version: 1}\nbutton: {colour: grey}\n"
    text = f"{other}---\n{THEME}---\n{other.replace('other', 'third')}"
    assert change(text, {"button": {"colour": "green"}}) == text.replace(
        "colour: grey # the", "colour: green # the"
    )
    listed = "- kind: Theme\n  meta: {key: a, version: 1}\n  x: 1 # one\n- kind: Theme\n  meta: {key: b, version: 1}\n  x: 1\n"
    assert change(listed, {"x": 2}, key="a") == listed.replace("x: 1 # one", "x: 2 # one")


def test_what_cannot_be_spliced_is_written_anew_below_its_head():
    text = (
        "# head\nkind: Theme\nmeta: {key: shop.theme, version: 1}\nbase: &base {colour: grey}\n"
        "button: *base\n"
    )
    made = change(text, {"button": {"colour": "green"}})
    assert made.startswith("# head\nkind: Theme\n")
    assert yaml.safe_load(made)["base"] == {"colour": "grey"}
    assert yaml.safe_load(made)["button"] == {"colour": "green"}
    with pytest.raises(OverrideError, match=r'the merge patch is \{"button": \{"colour": "green"'):
        change(
            text + "---\nkind: Theme\nmeta: {key: b, version: 1}\n", {"button": {"colour": "green"}}
        )


@pytest.mark.parametrize("indent", [2, 4, "\t", None])
def test_of_json_only_what_the_patch_names_changes(indent):
    document = {"kind": "Theme", "meta": {"key": "shop.theme", "version": 1}, "ü": "grey", "b": [1]}
    for whole in (document, [document, {**document, "meta": {"key": "other", "version": 1}}]):
        text = json.dumps(whole, indent=indent, ensure_ascii=False) + "\n"
        made = change(text, {"ü": "green"}, "theme.json")
        assert made == text.replace("grey", "green", 1)


def test_of_python_only_the_specs_expression_changes():
    (spec,) = specs_of_text(THEME, Path("theme.yaml"))
    text = to_python(spec)
    again = to_python(overridden(spec, Override(type="theme", target="x", config={"last": 2})))
    assert change(text, {"last": 2}, "theme.py") == again


def test_python_by_hand_keeps_the_rest_of_its_module():
    text = '''"""Ümlaut — looks."""

from __future__ import annotations

import anabranch.specs as s

SIZES = [1, 2]  # computed
ü = 1; shop = s.ThemeSpec(meta=s.ForeignMeta(key="shop.theme", version=1), sizes=SIZES)
other = s.ThemeSpec(meta=s.ForeignMeta(key="other", version="1.0.0"), of="shop.theme")
'''
    made = change(text, {"sizes": [3]}, "theme.py")
    assert difference(text, made) == [
        '- ü = 1; shop = s.ThemeSpec(meta=s.ForeignMeta(key="shop.theme", version=1), sizes=SIZES)',
        "+ from anabranch.specs import ForeignMeta, ThemeSpec",
        '+ ü = 1; shop = ThemeSpec(meta=ForeignMeta(key="shop.theme", version="1.0.0"), sizes=[3])',
    ]
    assert specs_of_text(made, Path("theme.py"))[0].document["sizes"] == [3]


def test_python_that_makes_specs_in_another_way_is_left():
    text = (
        "from anabranch.specs import ForeignMeta, ThemeSpec\n"
        "def make(key):\n    return ThemeSpec(meta=ForeignMeta(key=key, version=1))\n"
        "a, b = make('shop.theme'), make('b')\n"
    )
    with pytest.raises(OverrideError, match="Do it by hand"):
        change(text, {"x": 1}, "theme.py")


# -- against the definition of merge patches --------------------------------------------------

texts = st.text(st.characters(codec="utf-8", exclude_categories=("Cs", "Cc")), max_size=6)
keys = st.text("abcü :#-", min_size=1, max_size=3)
leaves = st.none() | st.booleans() | st.integers(-9, 9) | texts
values = st.recursive(
    leaves,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(keys, inner, max_size=3),
    max_leaves=8,
)
objects = st.dictionaries(keys, values, min_size=1, max_size=4)


@given(objects, objects, st.sampled_from([None, False, True]))
def test_yaml_comes_out_as_the_patch_says_or_not_at_all(target, patch, flow):
    text = yaml.safe_dump(target, default_flow_style=flow, allow_unicode=True, sort_keys=False)
    node = yaml.compose(text, Loader=yaml.CSafeLoader)
    try:
        made = spliced(text, node, patch)
    except NotSplicedError:
        return
    assert yaml.safe_load(made) == merged(target, patch)
