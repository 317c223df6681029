"""Lets the site show what stands outside docs/, by the same links that work in the checkout.

A link from a page of docs/ to `../deploy/crontab`, or from the changelog to `docs/scaling.md`, is rewritten,
and the file is copied into the site. A link to a file that is not there stays, so that the strict build names
it.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from mkdocs.structure.files import File

ROOT = Path(__file__).parents[1]
PAGES = ("CHANGELOG.md", "CONTRIBUTING.md", "SECURITY.md", "dbt/README.md")
_UP = re.compile(r"\]\(\.\./(?!\.)([^)#]+)")


def on_files(files: Any, config: Any) -> Any:
    """Adds the pages outside docs/, and every file that a page links to."""
    linked = {name for page in (ROOT / "docs").glob("*.md") for name in _UP.findall(page.read_text())}
    for name in sorted({*PAGES, *linked}):
        if (ROOT / name).is_file():
            files.append(File.generated(config, name, abs_src_path=str(ROOT / name)))
    return files


def on_page_markdown(markdown: str, page: Any, **_: Any) -> str:
    """Every page of docs/ stands at the top of the site."""
    if page.file.src_uri in PAGES:
        return re.sub(r"\]\((?:\.\./)?docs/", "](" + "../" * page.file.src_uri.count("/"), markdown)
    return _UP.sub(r"](\1", markdown)
