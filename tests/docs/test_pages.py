"""The documents as a whole: every page is reached, and generated ones are what the code says."""

from __future__ import annotations

import re
import runpy
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
PAGES = sorted(path.name for path in DOCS.glob("*.md"))
_WRITTEN = runpy.run_path(str(DOCS / "build.py"))["PAGES"]


def links(page: Path) -> set[Path]:
    """The files of the checkout that a page links to."""
    found = re.findall(r"\]\((?!https?:)([^)#]+)(?:#[^)]*)?\)", page.read_text(encoding="utf-8"))
    return {(page.parent / name).resolve() for name in found}


@pytest.mark.parametrize("name", sorted(_WRITTEN))
def test_generated_pages_say_what_the_code_says(name: str) -> None:
    assert (DOCS / name).read_text(encoding="utf-8") == _WRITTEN[name](), "run: make docs"


def test_every_page_is_reached_from_the_readme_and_from_the_first_page() -> None:
    pages = {DOCS / name for name in PAGES} - {DOCS / "index.md"}
    assert pages - links(ROOT / "README.md") == set()
    assert pages - links(DOCS / "index.md") == set()
    assert DOCS / "index.md" in links(ROOT / "README.md")


@pytest.mark.parametrize("page", ["README.md", "CONTRIBUTING.md", "SECURITY.md", "CHANGELOG.md"])
def test_links_lead_somewhere(page: str) -> None:
    """Pages of docs/ are checked by the strict build; these are read in the checkout."""
    assert [str(path) for path in links(ROOT / page) if not path.exists()] == []


def test_what_contributing_and_architecture_name_is_there() -> None:
    """Classes and constants by their names, variables by who reads them, files by their paths."""
    found = [*(ROOT / "etl").rglob("*.py"), *(ROOT / "tests/support").rglob("*.py")]
    code = "\n".join(path.read_text(encoding="utf-8") for path in found)
    read = set(re.findall(r"os\.environ(?:\.get\(|\[)\"(\w+)\"", code))
    for page in (ROOT / "CONTRIBUTING.md", DOCS / "architecture.md"):
        text = page.read_text(encoding="utf-8")
        names = set(re.findall(r"`(_?[A-Z]\w+)(?:\.\w+)?`", text)) - {"COMMENT", "TYPE_CHECKING"} - read
        assert {name for name in names if not re.search(rf"^(class )?{name}\b", code, re.M)} == set(), page
        paths = set(re.findall(r"`((?:etl|tests|migrations)/[\w/.]+)`", text))
        assert paths and [path for path in paths if not (ROOT / path).exists()] == [], page


def test_every_check_that_security_names_is_there() -> None:
    named = re.findall(r"`(tests/[\w/.]+)`", (ROOT / "SECURITY.md").read_text(encoding="utf-8"))
    assert named and [path for path in named if not (ROOT / path).is_file()] == []


def test_performance_is_a_page_not_a_log() -> None:
    assert len((DOCS / "performance.md").read_text().splitlines()) <= 150


def test_every_extra_is_explained() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    explained = re.findall(r"^\| ((?:`[\w-]+`,? ?)+) \|", (DOCS / "install.md").read_text(), re.M)
    assert set(re.findall(r"[\w-]+", " ".join(explained))) == set(project["optional-dependencies"])


def test_every_target_of_make_says_what_it_does() -> None:
    text = (ROOT / "Makefile").read_text()
    named = {name for line in re.findall(r"^\.PHONY: (.*)$", text, re.M) for name in line.split()}
    assert named == set(re.findall(r"^([a-z-]+):.*## ", text, re.M))


def test_the_workflow_runs_what_ci_runs_on_every_supported_python() -> None:
    workflow = yaml.safe_load((ROOT / ".github" / "workflows" / "ci.yml").read_text())
    job = workflow["jobs"]["all"]
    assert {"run": ".ci/run"} in job["steps"]
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    prefix = "Programming Language :: Python :: "
    supported = [c.removeprefix(prefix) for c in project["classifiers"] if c.startswith(prefix)]
    assert job["strategy"]["matrix"]["python"] == supported
    assert project["requires-python"] == f">={supported[0]}"


@pytest.mark.slow
def test_the_site_builds_without_a_broken_link(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", "--site-dir", str(tmp_path)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert (tmp_path / "cli" / "index.html").is_file()
