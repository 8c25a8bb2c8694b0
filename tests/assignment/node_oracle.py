"""JavaScript itself as the judge: evaluates expressions in Node and generates some to judge."""

from __future__ import annotations

import json
import math
import shutil
import subprocess
from random import Random
from typing import Any

from anabranch.assignment.expressions import UNDEFINED, compile_expression
from anabranch.errors import ExpressionSyntaxError, ExpressionTypeError

NODE = shutil.which("node")

_SCRIPT = """
const show = (v) => {
  if (v === undefined) return ['undefined'];
  if (typeof v === 'number') return ['number', Object.is(v, -0) ? '-0' : String(v)];
  if (Array.isArray(v)) return ['array', v.map(show)];
  if (v !== null && typeof v === 'object')
    return ['object', Object.keys(v).sort().map((k) => [k, show(v[k])])];
  return [typeof v, v];
};
const pairs = JSON.parse(require('fs').readFileSync(0, 'utf8'));
const found = pairs.map(([source, context]) => {
  try {
    const run = new Function('context', '"use strict"; return (' + source + '\\n)');
    return show(run(context));
  } catch (error) {
    return ['throws', error.name];
  }
});
process.stdout.write(JSON.stringify(found));
"""


def javascript(pairs: list[tuple[str, Any]]) -> list[Any]:
    """What Node makes of each source and context."""
    assert NODE is not None
    done = subprocess.run(
        [NODE, "-e", _SCRIPT], input=json.dumps(pairs), capture_output=True, text=True, check=True
    )
    return json.loads(done.stdout)


def _show(value: Any) -> Any:
    if value is UNDEFINED:
        return ["undefined"]
    if value is None:
        return ["object", None]
    if isinstance(value, bool):
        return ["boolean", value]
    if isinstance(value, str):
        return ["string", value]
    if isinstance(value, (list, tuple)):
        return ["array", [_show(inner) for inner in value]]
    if isinstance(value, dict):
        return ["object", [[key, _show(value[key])] for key in sorted(value)]]
    if value == 0 and math.copysign(1, value) < 0:
        return ["number", "-0"]
    return ["number", compile_expression("'' + context").evaluate(value)]


def ours(source: str, context: Any) -> Any:
    """What anabranch makes of them, in the same form."""
    try:
        return _show(compile_expression(source).evaluate(context))
    except ExpressionTypeError:
        return ["throws", "TypeError"]
    except ExpressionSyntaxError:
        return ["throws", "SyntaxError"]


VALUES: list[Any] = [
    None, True, False, 0, 1, -1, 2, 10, 0.1, 0.5, -0.0, 1e21, 1e-7, 123456789.125, 2**53,
    2**53 + 1, 5e-324, 1.7976931348623157e308, "", " ", "a", "A", "vip", "VIP", "10", "9", " 1 ",
    "0x10", "-0x1", "1e3", ".5", "5.", "Infinity", "-Infinity", "NaN", "null", "undefined", "true",
    "😀", "é", "ß", "\ufeff1\u2028", "z😀a", "\uffee", "a,b", "[object Object]", "_", "1_0",
    [], [0], [1, 2], ["a", "b"], [None], [[1, [2]], "x"], ["vip", 10, None, True], [2**53 + 1],
    {}, {"a": 1}, {"b": {"a": "vip"}, "0": "zero"}, {"length": 2}, {"a": None, "": 1},
]  # fmt: skip
_NAMES = ["a", "b", "c", "segment", "in", "typeof", "length", "$x", "_y"]
_LITERALS = [
    "0", "1", "2", "10", "0.5", ".5", "1e3", "1e21", "1e-7", "0x1F", "0b11", "0o17", "5.", "'a'",
    "'vip'", '"b"', "''", "' '", "'10'", "'\\u{1F600}'", "'\\x41\\n'", "'\\ud83d'", "'\\ude00'",
    "'1'", "true", "false", "null", "undefined", "NaN", "Infinity", "[]", "[1, 2]", "['a', 'vip']",
    "[NaN, null]", "[undefined,]",
]  # fmt: skip
_BINARY = ["+", "-", "*", "/", "%", "<", "<=", ">", ">=", "==", "!=", "===", "!==", "in"]
_STRING_METHODS = ["includes", "startsWith", "endsWith", "indexOf"]


def expression(random: Random, depth: int) -> str:
    """A random expression that both sides understand."""
    if depth <= 0 or random.random() < 0.08:
        return random.choice([random.choice(_LITERALS), chain(random, 0)])
    inner = depth - 1
    kind = random.randrange(9)
    if kind <= 2:
        left, right = operand(random, inner), operand(random, inner)
        return f"{left} {random.choice(_BINARY)} {right}"
    if kind == 3:
        mark = random.choice(["&&", "||", "??"])
        return f" {mark} ".join(operand(random, inner) for _ in range(random.randint(2, 3)))
    if kind == 4:
        return f"{random.choice(['!', '-', '+', 'typeof ', '!!'])}{operand(random, inner)}"
    if kind == 5:
        test, then, other = (operand(random, inner) for _ in range(3))
        return f"{test} ? {then} : {other}"
    if kind == 6:
        return f"[{', '.join(operand(random, inner) for _ in range(random.randint(0, 3)))}]"
    if kind == 7:
        base = operand(random, inner)
        dot = random.choice([".", "?."])
        if random.random() < 0.3:
            return f"{base}{dot}{random.choice(['trim', 'toLowerCase', 'toUpperCase'])}()"
        arguments = [operand(random, inner) for _ in range(random.randint(0, 2))]
        return f"{base}{dot}{random.choice(_STRING_METHODS)}({', '.join(arguments)})"
    return chain(random, inner)


def operand(random: Random, depth: int) -> str:
    return f"({expression(random, depth)})"


def chain(random: Random, depth: int) -> str:
    text = "context"
    for _ in range(random.randint(0, 3)):
        kind = random.randrange(4)
        if kind <= 1:
            text += random.choice([".", "?.", "?."]) + random.choice(_NAMES)
        elif kind == 2:
            text += random.choice(["", "?."]) + f"[{expression(random, depth - 1)}]"
        else:
            text = f"({text})"
    return text


def context(random: Random) -> Any:
    return {name: random.choice(VALUES) for name in _NAMES if random.random() < 0.8}


_TOKENS = [
    "context", "context.a", ".", "?.", "[", "]", "(", ")", "a", "in", "typeof ", "!", "-", "+", "*",
    "/", "%", "<", ">", "=", "==", "===", "&&", "||", "??", "?", ":", ",", "1", "0", "08", "1.5",
    "'a'", '"', "'", " ", "\n", "/* x */", "// x\n", "null", ".trim()", "&", "{", "}", "`", "=>",
]  # fmt: skip


def soup(random: Random) -> str:
    """Tokens thrown together: mostly no expression at all."""
    return "".join(random.choice(_TOKENS) for _ in range(random.randint(1, 7)))
