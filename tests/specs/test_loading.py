import sys

import pytest

from anabranch.errors import (
    DuplicateSpecError,
    ExpressionSyntaxError,
    SpecLoadError,
    SpecValidationError,
)
from anabranch.specs import load_files, load_specs
from tests.specs.examples import OLDER_YAML, TELEMETRY_YAML

SHORT = """\
kind: Experiment
meta: {key: KEY, version: 1}
controlVariant: control
variants: [{id: control}, {id: green}]
allocation: {type: random}
"""


def short(key: str) -> str:
    return SHORT.replace("KEY", key)


@pytest.fixture
def write(tmp_path):
    def write(name: str, text: str):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        return path

    return write


def test_a_folder_is_read_to_its_depth_in_order(tmp_path, write):
    write("b.yaml", short("b") + "---\n" + short("c"))
    write("a/deep/a.yml", short("a"))
    write(
        "list.json",
        '[{"kind": "Telemetry", "meta": {"key": "t", "version": 1},'
        ' "events": [{"key": "e", "version": 1}]}]',
    )
    write(
        "py/specs.py",
        f"from anabranch.specs import parse_document\nimport yaml\n"
        f"MINE = parse_document(yaml.safe_load({short('p')!r}))\nSAME = MINE\nother = 3\n",
    )
    write("py/helpers.py", "x = 1\n")
    write(".hidden/x.yaml", "nonsense")
    write("__pycache__/x.py", "nonsense nonsense")
    write("notes.txt", "nonsense")
    found = load_files(tmp_path)
    places = [(f.spec.key, f.path.relative_to(tmp_path).as_posix(), f.line) for f in found]
    assert places == [
        ("a", "a/deep/a.yml", 1),
        ("b", "b.yaml", 1),
        ("c", "b.yaml", 7),
        ("t", "list.json", 1),
        ("p", "py/specs.py", None),
    ]
    assert len(load_specs(tmp_path)) == 5


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ("- variantId: multi_step", "- variantId: multi_stp",
         "allocation.rules[0].variantId: no variant has the id 'multi_stp'"),
        ("fallback: random", "fallbak: random",
         "allocation.fallbak: unknown field: did you mean 'fallback'?"),
        ("version: 1\n", "version: 1.5\n", "meta.version: version 1.5 is neither"),
        ("aggregation: count", "aggregation: cuont",
         "successMetrics[0].aggregation: input should be 'count'"),
        ("telemetryEvent: {name: sigil.telemetry.onboarding_completed, version: 1}",
         "telemetry_event: {name: x}",
         "successMetrics[0].telemetryEvent.version: is missing"),
        ("kind: Experiment", "kind: experiment", "did you mean 'Experiment'?"),
        ("kind: Experiment", "kind: DataViews", "did you mean 'DataView'"),
        ("kind: Experiment\n", "", "says no 'kind'"),
        ("domain: onboarding", "title: again", "'title' is given twice: keep one"),
        ("variants:", "variants: ]", "expected"),
    ],
)  # fmt: skip
def test_errors_name_file_and_line(write, old, new, expected):
    text = OLDER_YAML.replace(old, new, 1)
    assert text != OLDER_YAML
    line = text[: text.index(new)].count("\n") + 1
    path = write("a.yaml", text)
    with pytest.raises((SpecLoadError, SpecValidationError)) as caught:
        load_specs(path)
    assert str(caught.value).startswith(f"{path}:{line}: ")
    assert expected in str(caught.value)


def test_each_problem_has_its_own_line(write):
    text = short("a").replace("{id: green}", "{idd: green}").replace("random", "randm")
    path = write("a.yaml", "# two\n" + text)
    with pytest.raises(SpecValidationError) as caught:
        load_specs(path)
    assert str(caught.value).splitlines() == [
        f"{path}:5: Experiment a 1: variants[1].id: is missing: add it",
        f"{path}:5: Experiment a 1: variants[1].idd: unknown field: did you mean 'id'?",
        f"{path}:6: Experiment a 1: allocation: there is no type 'randm': did you mean 'random'?",
    ]


def test_json_errors_have_lines_too(write):
    path = write("a.json", '{\n\t"kind": "Experiment",\n\t"meta": {\n\t\t"kee": "a"\n\t}\n}')
    with pytest.raises(SpecValidationError) as caught:
        load_specs(path)
    assert f"{path}:4: Experiment: meta.kee: unknown field: did you mean 'key'?" in str(
        caught.value
    )


@pytest.mark.parametrize(
    ("name", "text", "expected"),
    [
        ("a.json", "{", "a.json:1: is not JSON"),
        ("a.json", '{"kind": "Policy", "kind": "Policy"}', "'kind' is given twice"),
        ("a.json", '{"kind": "Policy", "rules": NaN}', "NaN is not JSON"),
        ("a.yaml", "", "holds no specs"),
        ("a.yaml", "- 3", "a spec is an object with a 'kind', not int"),
        ("a.yaml", "kind: !!python/object:os.system {}", "could not determine a constructor"),
        ("a.yaml", "a: \x00", "is not YAML"),
        ("a.py", "x = 1", "holds no specs"),
        ("a.toml", "", "is no spec file"),
    ],
)
def test_files_that_are_no_spec_files(write, name, text, expected):
    with pytest.raises(SpecLoadError) as caught:
        load_specs(write(name, text))
    assert expected in str(caught.value)
    assert name in str(caught.value)


def test_what_is_not_there(tmp_path):
    with pytest.raises(SpecLoadError, match="is not there"):
        load_specs(tmp_path / "nowhere")
    with pytest.raises(SpecLoadError, match="holds no specs"):
        load_specs(tmp_path)


def test_text_that_is_not_utf8(tmp_path):
    (tmp_path / "a.yaml").write_bytes(b"\xff\xfe\xfa")
    with pytest.raises(SpecLoadError, match=r"a\.yaml cannot be read"):
        load_specs(tmp_path)


@pytest.mark.parametrize(
    ("text", "kind", "expected"),
    [
        ("x = 1\ny = x / 0\n", SpecLoadError, ":2: ZeroDivisionError: division by zero"),
        ("x = (\n", SpecLoadError, ":1: SyntaxError"),
        ("import nowhere_to_be_found\n", SpecLoadError, ":1: ModuleNotFoundError"),
        ("\nraise SystemExit(3)\n", SpecLoadError, ":2: SystemExit: 3"),
        (
            "from anabranch.specs import Variant\n\nVariant(id='a',\n  wieght=1)\n",
            SpecValidationError,
            ":3: Variant: wieght: unknown field: did you mean 'weight'?",
        ),
    ],
)
def test_errors_in_python_name_file_and_line(write, text, kind, expected):
    path = write("a.py", text)
    before = set(sys.modules)
    with pytest.raises(kind) as caught:
        load_specs(path)
    assert str(caught.value).startswith(f"{path}{expected}")
    assert not {name for name in set(sys.modules) - before if "_specs_" in name}


def test_duplicates_name_both_files(tmp_path, write):
    write("a.yaml", short("x"))
    write("b.yaml", "\n" + short("x"))
    with pytest.raises(DuplicateSpecError) as caught:
        load_specs(tmp_path)
    assert f"{tmp_path / 'a.yaml'}:1 and in {tmp_path / 'b.yaml'}:2" in str(caught.value)


def test_duplicate_events_name_the_file(tmp_path, write):
    write("a.yaml", TELEMETRY_YAML)
    write("b.yaml", TELEMETRY_YAML.replace("key: ", "").replace("telemetry.onboarding,", "other,"))
    with pytest.raises(DuplicateSpecError, match=r"b\.yaml:1: event .* is declared by"):
        load_specs(tmp_path)


def test_a_check_sees_every_spec_and_its_errors_name_the_file(write):
    path = write("a.yaml", short("x") + "---\n" + short("y"))
    seen = []

    def check(spec):
        seen.append(spec.key)
        if spec.key == "y":
            raise ExpressionSyntaxError("unexpected ')'", source="a)", column=2)

    with pytest.raises(SpecValidationError) as caught:
        load_specs(path, check=check)
    assert seen == ["x", "y"]
    assert str(caught.value).startswith(f"{path}:7: Experiment y 1.0.0: line 1, column 2: unexp")


def test_dates_stay_text_as_in_json(write):
    path = write("a.yaml", short("x") + "schedule: {start: 2026-01-01T00:00:00Z}\n")
    [spec] = load_specs(path).experiments
    assert spec.document["schedule"] == {"start": "2026-01-01T00:00:00Z"}


def test_anchors_and_merges(write):
    text = short("x").replace(
        "[{id: control}, {id: green}]",
        "[&base {id: control, weight: 3}, {<<: *base, id: green}]",
    )
    [spec] = load_specs(write("a.yaml", text)).experiments
    assert [(v.id, v.weight) for v in spec.variants] == [("control", 3), ("green", 3)]


def test_an_alias_to_itself_is_refused(write):
    text = short("x").replace("{id: green}", "{id: green, metadata: &m {again: *m}}")
    with pytest.raises(SpecLoadError, match=r"a\.yaml:1: its aliases .* hold themselves"):
        load_specs(write("a.yaml", text))


@pytest.mark.parametrize("depth", [501, 2000, 200_000])
@pytest.mark.parametrize(
    ("name", "opening", "closing"),
    [
        ("a.yaml", "[", "]"),
        ("a.yaml", "{a: ", "}"),
        ("a.yaml", "- ", ""),
        ("a.yaml", "? ", ""),
        ("a.json", "[", "]"),
        ("a.json", '{"a":', "}"),
    ],
)
def test_what_is_nested_too_deeply_is_refused(write, name, opening, closing, depth):
    """libyaml recurses in C: the deepest of these would end the process."""
    path = write(name, opening * depth + "1" + closing * depth)
    with pytest.raises(SpecLoadError, match=r"nested (more than 500 deep|too deeply)|'kind'"):
        load_files(path)


def test_many_small_specs_in_one_file_are_not_deep(write):
    path = write("many.yaml", "---\n".join(short(f"k{n}") for n in range(600)))
    assert len(load_files(path)) == 600


BOMB = "".join(f"  b{i}: &b{i} [*b{i - 1}, *b{i - 1}]\n" for i in range(1, 40))


@pytest.mark.parametrize("metadata", ["  b0: &b0 [x]\n" + BOMB, "  a: &a [*a]\n"])
def test_aliases_that_grow_without_end_are_refused(write, metadata):
    path = write("a.yaml", f"kind: Workflow\nmeta: {{key: w, version: 1}}\nsteps:\n{metadata}")
    with pytest.raises(SpecLoadError, match=r"a\.yaml:1: its aliases make more than 1,000,000"):
        load_files(path)


def test_aliases_are_read(write):
    text = "kind: Workflow\nmeta: {key: w, version: 1}\na: &a [1, 2]\nb: *a\nc: {<<: {d: 1}}\n"
    (found,) = load_files(write("a.yaml", text))
    assert found.spec.document["b"] == [1, 2]
    assert found.spec.document["c"] == {"d": 1}
