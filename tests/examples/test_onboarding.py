import re
import subprocess
import sys
from pathlib import Path

from anabranch.assignment import ExperimentEvaluator
from anabranch.events.files import parse_line
from anabranch.processors.assign import AssignProcessor
from anabranch.specs import load_specs
from tests.support.bench import NOW, Bench, In

EXAMPLE = Path(__file__).resolve().parents[2] / "examples" / "onboarding"


def printed():
    command = [sys.executable, EXAMPLE / "choose.py"]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def test_it_prints_what_the_readme_shows():
    readme = (EXAMPLE / "README.md").read_text()
    [shown] = re.findall(
        r"^\$ python examples/onboarding/choose.py\n(.*?)^```", readme, re.MULTILINE | re.DOTALL
    )
    assert printed() == shown


async def test_the_stage_and_the_library_agree():
    specs = load_specs(EXAMPLE / "specs")
    processor = AssignProcessor(specs, ExperimentEvaluator(specs.experiments))
    lines = (EXAMPLE / "events.jsonl").read_bytes().splitlines()
    events = [parse_line(line, f"events.jsonl:{n}") for n, line in enumerate(lines, start=1)]
    contexts = [In(e.topic, e.value, e.key, e.headers) for e in events if e.topic == "contexts"]
    out = await Bench(processor, "contexts").run(*contexts, now=NOW)
    by_stage = [
        f"{r.json['unit']}: {r.json['variant']} ({r.json['reason']})" for r in out.of("exposures")
    ]
    assert by_stage == re.findall(r"^user.*$", printed(), re.MULTILINE)
