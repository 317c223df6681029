"""docs/simulator.md: every option, fault, setting and control request that it names is there."""

import re
import shlex
from pathlib import Path

import pytest

from etl.simulator import Gateway, World, control
from etl.simulator.cli import build_gateway, make_parser
from etl.simulator.faults import parse_fault
from etl.simulator.wire import Request

PAGE = (Path(__file__).parents[2] / "docs" / "simulator.md").read_text()
COMMANDS = re.findall(r"^bifrost-etl simulate (.*)$", PAGE, re.M)
FAULTS = re.findall(r"`--fault ([a-z].*?)`", PAGE)
#: What a replayed file answers is tried with one (tests/cli/test_record.py).
CONTROLS = [
    found for found in re.findall(r"`(GET|POST) (/_sim/[^`…]+)`", PAGE) if found[1] != "/_sim/unrecorded"
]


def test_the_page_is_read_here() -> None:
    assert (len(COMMANDS), len(FAULTS) > 5, len(CONTROLS) > 3) == (1, True, True)


@pytest.mark.parametrize("command", COMMANDS)
def test_commands(command: str) -> None:
    assert build_gateway(make_parser().parse_args(shlex.split(command))).world.plan.jobs == 2000


def test_options() -> None:
    known = make_parser().format_help()
    named = set(re.findall(r"`(--[a-z-]+)", PAGE)) - {"--help"}
    assert {option for option in named if option not in known} == set()


@pytest.mark.parametrize("spec", FAULTS)
def test_faults(spec: str) -> None:
    assert parse_fault(spec).name == spec.partition(":")[0]


@pytest.mark.parametrize(("method", "target"), CONTROLS)
def test_controls(method: str, target: str) -> None:
    gateway = Gateway(World(jobs=3))
    assert control.answer_control(gateway, Request.to(target, method=method)).status == 200


def test_settings() -> None:
    row = next(line for line in PAGE.splitlines() if "/_sim/set?" in line)
    named = set(re.findall(r"`([a-z_]+)`", row)) | set(re.findall(r"[?&]([a-z_]+)=", row))
    assert named == set(control.SETTINGS)
