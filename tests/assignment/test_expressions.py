"""What expressions mean, and what they cannot do."""

from __future__ import annotations

import math
from collections.abc import Callable
from contextlib import suppress
from decimal import Decimal
from enum import StrEnum
from types import MappingProxyType

import pytest
from hypothesis import given
from hypothesis import strategies as st

from anabranch.assignment.expressions import UNDEFINED, compile_expression, constant, paths
from anabranch.errors import (
    ExpressionError,
    ExpressionLimitError,
    ExpressionSyntaxError,
    ExpressionTypeError,
)

CONTEXT = {
    "experiment": "checkout",
    "userId": "u1",
    "attributes": {
        "segment": "vip",
        "age": 42,
        "score": 0.1,
        "big": 2**53 + 1,
        "tags": ["beta", "eu", None],
        "emoji": "z😀a",
        "nothing": None,
        "plan": {"name": "pro", "seats": 5},
        "in": "reserved",
    },
    "flags": ["internal"],
}


def value(source: str, context: object = CONTEXT) -> object:
    return compile_expression(source).evaluate(context)


def test_the_documents_expression() -> None:
    expression = compile_expression("context.attributes?.segment === 'vip'")
    assert expression.test({"attributes": {"segment": "vip"}})
    assert not expression.test({"attributes": {"segment": "basic"}})
    assert not expression.test({"attributes": None})
    assert not expression.test({})
    assert expression.source == "context.attributes?.segment === 'vip'"


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("context.attributes.plan.seats >= 5 && context.flags.includes('internal')", True),
        ("context.attributes.segment in context.attributes", False),
        ("'segment' in context.attributes", True),
        ("2 in context.attributes.tags", True),
        ("3 in context.attributes.tags", False),
        ("'length' in context.attributes.tags", True),
        ("context.attributes.tags[1]", "eu"),
        ("context.attributes['tags']?.['1']", "eu"),
        ("context.attributes.tags.length", 3),
        ("context.attributes.in", "reserved"),
        ("['vip', 'gold'].includes(context.attributes.segment)", True),
        ("context.attributes.missing?.a.b.c", UNDEFINED),
        ("context.attributes.nothing?.trim().length", UNDEFINED),
        ("context.attributes.missing ?? 'default'", "default"),
        ("context.attributes.nothing ?? 'default'", "default"),
        ("'' ?? 'default'", ""),
        ("'' || 'default'", "default"),
        ("context.attributes.age > 40 ? 'old' : 'young'", "old"),
        ("1 ? 2 ? 'a' : 'b' : 'c'", "a"),
        ("typeof context.attributes.missing", "undefined"),
        ("typeof null", "object"),
        ("typeof context.flags", "object"),
        ("undefined == null", True),
        ("undefined === null", False),
        ("null == 0", False),
        ("'1' == 1", True),
        ("'1' === 1", False),
        ("true == 1", True),
        ("true === 1", False),
        ("[1] == 1", True),
        ("[] == []", False),
        ("context.flags === context.flags", True),
        ("context.attributes === context.flags", False),
        ("'' == 0", True),
        ("NaN == NaN", False),
        ("[NaN].includes(NaN)", True),
        ("[NaN].indexOf(NaN)", -1),
        ("'10' < '9'", True),
        ("'10' < 9", False),
        ("undefined < 1", False),
        ("null >= 0", True),
        ("!context.attributes.tags", False),
        ("![]", False),
        ("!0 && !'' && !null && !NaN && !undefined", True),
        ("1 + '2'", "12"),
        ("'3' - 1", 2),
        ("-7 % 3", -1),
        ("0.1 + 0.2", 0.30000000000000004),
        ("1 / 0", math.inf),
        ("-1 / 0", -math.inf),
        ("1 / -0", -math.inf),
        ("'' + -0", "0"),
        ("'' + 1e21", "1e+21"),
        ("'' + 123456789012345680000", "123456789012345680000"),
        ("'' + 1e-7", "1e-7"),
        ("'' + 0.000001", "0.000001"),
        ("'' + [1, [2, null], undefined]", "1,2,,"),
        ("'' + context", "[object Object]"),
        ("+' 0x1F '", 31),
        ("+''", 0),
        ("+'\\n'", 0),
        ("context.attributes.big === 9007199254740992", True),
        ("context.attributes.emoji.length", 4),
        ("context.attributes.emoji[1] + context.attributes.emoji[2] === '😀'", True),
        ("context.attributes.emoji.indexOf('a')", 3),
        ("'😀' < '\\uffee'", True),
        ("'\\ud83d' + '\\ude00' === '\\u{1F600}'", True),
        ("'a\\\nb'", "ab"),
        ("' \ufeffx\u00a0'.trim()", "x"),
        ("'ß'.toUpperCase()", "SS"),
        ("'anabranch'.startsWith('bra', 3)", True),
        ("'anabranch'.endsWith('ana', 3)", True),
        ("'abc'.includes()", False),
        ("[1, 2, 3,].indexOf(3, -1)", 2),
        ("context // the whole\n .userId /* id */", "u1"),
        ("(1, 2)", ExpressionSyntaxError),
    ],
)
def test_meaning(source: str, expected: object) -> None:
    if expected is ExpressionSyntaxError:
        with pytest.raises(ExpressionSyntaxError):
            value(source)
        return
    found = value(source)
    assert found == expected
    assert isinstance(found, bool) == isinstance(expected, bool)


@pytest.mark.parametrize(
    "context",
    [
        {},
        {"a": None},
        {"a": {}},
        {"a": {"b": "x"}},
        {"a": {"b": "y"}},
        {"a": {"b": ["x"]}},
        {"a": {"b": 1}},
        {"a": {"b": {1}}},
        {"a": "x"},
        {"a": ["x"]},
    ],
    ids=str,
)
@pytest.mark.parametrize(
    "source",
    [
        "context.a.b === 'x'",
        "context.a?.b === 'x'",
        "context.a?.b !== 'x'",
        "context.a?.b",
        "context.a?.b == ['x']",
        "context.a?.b.length === 1",
    ],
)
def test_holds_is_test_of_one_object(source: str, context: dict[str, object]) -> None:
    expression = compile_expression(source)

    def told(ask: Callable[[dict[str, object]], bool]) -> object:
        try:
            return ask(context)
        except ExpressionError as error:
            return type(error), str(error)

    assert told(expression.holds) == told(expression.test)


def test_not_a_number() -> None:
    for source in ["NaN", "0 / 0", "+'1_0'", "undefined + 1", "1 % 0", "+[1, 2]", "Infinity % 1"]:
        found = value(source)
        assert found != found, source  # noqa: PLR0124


def test_operands_that_decide_leave_the_rest_unread() -> None:
    assert value("false && context.missing.boom") is False
    assert value("true || context.missing.boom") is True
    assert value("0 ?? context.missing.boom") == 0
    assert value("context.missing?.trim(context.missing.boom)") is UNDEFINED


@pytest.mark.parametrize(
    ("source", "column"),
    [
        ("context.missing.name", 17),
        ("context.attributes.nothing.name", 28),
        ("(context.missing?.a).b", 22),
        ("true && context.missing[0]", 24),
        ("context.attributes.age.trim()", 24),
        ("context.attributes.plan.includes('a')", 25),
        ("'a' in 'abc'", 5),
        ("'a' in undefined", 5),
    ],
)
def test_type_errors_have_a_place(source: str, column: int) -> None:
    with pytest.raises(ExpressionTypeError) as caught:
        value(source)
    assert (caught.value.line, caught.value.column) == (1, column)
    assert caught.value.source == source


def test_syntax_errors_have_line_and_column() -> None:
    with pytest.raises(ExpressionSyntaxError) as caught:
        compile_expression("context.a === 1 &&\n  context.b = 2")
    assert (caught.value.line, caught.value.column) == (2, 13)
    assert "compare with ===" in str(caught.value)
    assert str(caught.value).endswith("context.b = 2\n              ^".lstrip("\n"))


ATTACKS = [
    "__import__('os')",
    "__import__('os').system('true')",
    "eval('1')",
    "exec('1')",
    "process.exit(1)",
    "globalThis",
    "require('fs')",
    "this",
    "window.location",
    "Object",
    "Function('return 1')()",
    "new Date()",
    "context.constructor.constructor('return process')()",
    "context['constructor']('return process')",
    "''.constructor.fromCharCode(65)",
    "''.format(context)",
    "'%s'.__mod__(context)",
    "context.get('attributes')",
    "context.attributes.pop('segment')",
    "[].concat([1])",
    "lambda: 1",
    "x => x",
    "(function(){})()",
    "function f() {}",
    "class A {}",
    "`${context}`",
    "'{0.__class__}'.format(context)",
    "f'{context}'",
    "context.a = 1",
    "context.a += 1",
    "context.a++",
    "delete context.a",
    "void 0",
    "context; 1",
    "{}",
    "({a: 1})",
    "[...context.flags]",
    "context.flags.map(x => x)",
    "context instanceof Object",
    "a ** b",
    "1 ** 9",
    "1 << 99",
    "~1",
    "9n ** 9n",
    "/(a+)+$/.test(context.userId)",
    "await context",
    "import('fs')",
    "yield 1",
    "[x for x in context]",
    "context if True else 1",
    "not context",
    "context is None",
    "context and context",
    "\\u0063ontext",
    "#comment",
    "",
    "   ",
    "'unterminated",
    "'\\u12'",
    "'\\u{110000}'",
    "'\\1'",
    "010",
    "1_000",
    "0.trim()",
    "1 ?? 2 || 3",
    "1 && 2 ?? 3",
    "[1,,2]",
    "1--1",
    "a\0",
]


@pytest.mark.parametrize("source", ATTACKS)
def test_what_is_not_of_the_subset_is_refused_when_compiled(source: str) -> None:
    with pytest.raises(ExpressionSyntaxError) as caught:
        compile_expression(source)
    assert caught.value.line == 1
    assert caught.value.column >= 1


LONGEST = {
    text[:12]: (text * 4096)[:4096]
    for text in [
        "/*", "/* *", "//", '"\\', "'\\u{1", "(", "[", "!", "-", "- ", "1.", "1e", "0x", "0xf", "9", "9e9",
        ".9", "?.", "a?.b:", " ", "\n", "a", "$", "é", "typeof ", "'a'+", '"a\\\n', "context[",
        "context.a.", "1?", "1?1:", "a?a:", "[1,", "''.trim().", "&&", "1&&", "1||", "1??",
    ]
}  # fmt: skip
"""Sources of the greatest length that make lexers and parsers work hard."""


@pytest.mark.parametrize("source", LONGEST.values(), ids=LONGEST)
def test_the_longest_sources_compile_or_are_refused(source: str) -> None:
    """Each took less than a fifth of a second: no terminal can be matched in two ways."""
    with suppress(ExpressionError):
        compile_expression(source)


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("0x" + "f" * 255, 16.0**255),
        ("0x" + "f" * 300, math.inf),
        ("-0b" + "1" * 2000, -math.inf),
        ("0o" + "7" * 1000, math.inf),
        ("1e999", math.inf),
        ("9" * 4000, math.inf),
    ],
)
def test_numbers_beyond_the_greatest_are_infinite(source: str, expected: float) -> None:
    assert value(source) == expected


HIDDEN = [
    "__class__", "__dict__", "__init__", "__proto__", "constructor", "prototype", "toString",
    "valueOf", "hasOwnProperty", "keys", "items", "get", "pop", "append", "format", "includes",
    "trim", "__len__", "mro", "func_globals",
]  # fmt: skip


@pytest.mark.parametrize("name", HIDDEN)
@pytest.mark.parametrize("base", ["context", "context.flags", "context.userId", "1", "true"])
def test_nothing_but_own_fields_is_there(base: str, name: str) -> None:
    assert value(f"({base})['{name}']") is UNDEFINED
    assert value(f"({base}).{name}") is UNDEFINED
    if base in {"context", "context.flags"}:
        assert value(f"'{name}' in {base}") is False


def test_own_fields_may_have_any_name() -> None:
    assert value("context.constructor + context.__proto__", {"constructor": 1, "__proto__": 2}) == 3


def test_python_objects_are_no_values() -> None:
    class Secret:
        password = "x"

    for foreign in [Secret(), Decimal(1), {1, 2}, b"bytes", print]:
        with pytest.raises(ExpressionTypeError, match="nothing that JSON can hold"):
            value("context.thing.password", {"thing": foreign})
        with pytest.raises(ExpressionTypeError):
            value("context", foreign)
        with pytest.raises(ExpressionTypeError):
            value("context.things.includes(1)", {"things": [foreign]})


def test_what_is_nearly_json_is_taken_as_json() -> None:
    class Colour(StrEnum):
        RED = "red"

    context = {"a": Colour.RED, "b": (1, 2), "c": MappingProxyType({"d": 10**400})}
    assert value("context.a === 'red'", context) is True
    assert value("context.b.includes(2)", context) is True
    assert value("context.c.d", context) == math.inf


def test_length_is_bounded() -> None:
    compile_expression("'" + "a" * 4094 + "'")
    with pytest.raises(ExpressionLimitError, match="at most 4096"):
        compile_expression("'" + "a" * 4095 + "'")


@pytest.mark.parametrize(
    "source",
    ["!" * 100 + "context", "[" * 100 + "]" * 100, "1" + "+1" * 100, "- " * 100 + "1",
     "1?" * 100 + "1" + ":1" * 100, "context[" * 100 + "0" + "]" * 100],
)  # fmt: skip
def test_depth_is_bounded(source: str) -> None:
    with pytest.raises(ExpressionLimitError, match="deep"):
        compile_expression(source)


def test_long_but_flat_is_fine() -> None:
    source = " || ".join(f"context.userId === '{i}'" for i in range(150))
    assert compile_expression(source).test({"userId": "149"})
    assert compile_expression("(" * 1500 + "1" + ")" * 1500).test({})
    assert compile_expression("context" + "?.a" * 1300).evaluate({}) is UNDEFINED


def test_strings_are_bounded() -> None:
    with pytest.raises(ExpressionLimitError, match="1000000"):
        value("context.a + context.a + context.a", {"a": "x" * 400_000})
    with pytest.raises(ExpressionLimitError):
        value("'' + [context.a, context.a, context.a]", {"a": "x" * 400_000})


def test_deeply_nested_arrays_do_not_break_the_stack() -> None:
    nested: list[object] = []
    for _ in range(100_000):
        nested = [nested]
    with pytest.raises(ExpressionLimitError, match="nested"):
        value("'' + context", nested)
    while nested:  # freed level by level
        nested = nested[0]  # type: ignore[assignment]


def test_other_roots_can_be_named() -> None:
    expression = compile_expression(
        "subject.roles.includes(resource.type)", roots=("subject", "resource", "context")
    )
    assert expression.test({"roles": ["invoice"]}, {"type": "invoice"}, {})
    with pytest.raises(ExpressionSyntaxError, match="'subject' or 'resource'"):
        compile_expression("user.id", roots=("subject", "resource"))
    with pytest.raises(TypeError, match="one value for each"):
        expression.test({})


@given(st.text(max_size=40))
def test_any_text_compiles_or_is_refused(source: str) -> None:
    with suppress(ExpressionError):
        compile_expression(source)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


@given(json_values, st.sampled_from(["==", "===", "<", "<=", ">", ">=", "+", "-", "*", "/", "%"]))
def test_operators_never_leak_a_python_error(operand: object, operator: str) -> None:
    context = {"a": operand}
    for source in [f"context.a {operator} context.a", f"context.a {operator} '1'", "-context.a"]:
        try:
            value(source, context)
        except ExpressionTypeError:
            assert isinstance(operand, (dict, list))


@pytest.mark.parametrize(
    ("source", "expected", "truth"),
    [
        ("true", [], True),
        ("1 > 2 || ''", [], False),
        ("'a'.includes('a')", [], True),
        ("null.a", [], None),
        ("context.attributes?.plan === 'vip'", [("attributes", "plan")], None),
        ("context['attributes'].tags?.includes('x')", [("attributes", "tags")], None),
        ("context.attributes?.[0] ?? context.attributes[context.flags]",
         [("attributes", "0"), ("attributes",), ("flags",)], None),
        ("[context].includes(1)", [], None),
    ],
)  # fmt: skip
def test_what_an_expression_reads(source, expected, truth):
    compiled = compile_expression(source)
    assert list(paths(compiled)) == expected
    assert constant(compiled) is truth
