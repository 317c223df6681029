"""The archives that `python -m build` makes: complete, and a wheel that works far from the checkout."""

from __future__ import annotations

import os
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest

from tests.conftest import unavailable

ROOT = Path(__file__).parents[2]
pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]


@pytest.fixture(scope="module")
def archives(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with both; the wheel is built from the source archive, as whoever has only that one would."""
    folder = tmp_path_factory.mktemp("dist")
    _run(sys.executable, "-m", "build", "--no-isolation", "--outdir", str(folder), str(ROOT))
    return folder


def tracked() -> set[str]:
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True)
    return {name for name in listed.stdout.split("\0") if name and (ROOT / name).exists()}


def test_the_source_archive_is_the_checkout(archives: Path) -> None:
    [path] = archives.glob("*.tar.gz")
    with tarfile.open(path) as archive:
        held = {name.partition("/")[2] for name in archive.getnames()}
    assert tracked() - held - {"MANIFEST.in"} == set()
    assert not [name for name in held if "__pycache__" in name or name.endswith(".db")]


def test_the_wheel_holds_the_program_and_nothing_else(archives: Path) -> None:
    [path] = archives.glob("*.whl")
    with zipfile.ZipFile(path) as wheel:
        held = set(wheel.namelist())
    tops = {name.partition("/")[0] for name in held}
    assert {top for top in tops if not top.endswith(".dist-info")} == {"etl"}
    ours = {name for name in tracked() if name.startswith("etl/")}
    migrations = {f"etl/{name}" for name in tracked() if name.startswith("migrations/")}
    assert (ours | migrations) - held == set()


def test_the_demo_runs_from_the_wheel_far_from_the_checkout(archives: Path, tmp_path: Path) -> None:
    """In an environment of its own, with the base install only, from the package registry."""
    [wheel] = archives.glob("*.whl")
    _run(sys.executable, "-m", "venv", str(tmp_path / "env"))
    python = str(tmp_path / "env/bin/python")
    _run(python, "-m", "pip", "install", "-q", "--constraint", str(ROOT / "constraints.txt"), str(wheel))
    program = str(tmp_path / "env/bin/bifrost-etl")
    assert "completed" in _run(program, "demo", cwd=tmp_path)
    config = ("--config", "demo/bifrost-etl.yaml")
    assert "sora-2" in _run(program, *config, "report", cwd=tmp_path)
    assert _run(program, *config, "db", "check", cwd=tmp_path) is not None
    found = _run(python, "-c", "import etl; print(etl.__file__)", cwd=tmp_path)
    assert found.startswith(str(tmp_path))


def _run(*command: str, cwd: Path | None = None) -> str:
    environ = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "COV"))}
    done = subprocess.run(
        command, cwd=cwd, env=environ, capture_output=True, text=True, timeout=500, check=False
    )
    said = done.stdout + done.stderr
    if done.returncode and "Failed to establish a new connection" in said:
        unavailable("no package registry can be reached")
    assert done.returncode == 0, said
    return said
