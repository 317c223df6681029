"""The graph of imports between the project's files, as its sources say it, without running any of them.

Counted are imports at the top, in functions, under TYPE_CHECKING, by a module's dotted name in a string (for
`import_module` and `python -m`), and by a file's name (for `spec_from_file_location`).
"""

from __future__ import annotations

import ast
import re
from collections import defaultdict
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parents[2]
_DOTTED = re.compile(r"etl(\.[a-z_]+)+")
_FILE = re.compile(r"([a-z_]+)\.py")

Graph = dict[str, set[str]]


def module_files(root: Path, tops: tuple[str, ...]) -> dict[str, Path]:
    """Dotted name → file, of every module below these folders; migrations are named as they are shipped."""
    found = {}
    for top in tops:
        for path in sorted((root / top).rglob("*.py")):
            parts = path.relative_to(root).with_suffix("").parts
            name = ".".join(parts[:-1] if parts[-1] == "__init__" else parts)
            found[f"etl.{name}" if top == "migrations" else name] = path
    return found


def import_graph(files: Mapping[str, Path]) -> Graph:
    """Module → the modules of `files` that it imports."""
    named = defaultdict(list)
    for module, path in files.items():
        named[path.name].append(module)
    return {name: set(_targets(name, path, files, named)) for name, path in files.items()}


@cache
def parsed(path: Path) -> ast.Module:
    """Many look at the same files, none of which changes while tests run."""
    return ast.parse(path.read_text(encoding="utf-8"))


def _targets(
    name: str, path: Path, files: Mapping[str, Path], named: Mapping[str, list[str]]
) -> Iterator[str]:
    dotted, file_names = _mentions(path)
    for target in dotted:
        while target and target not in files:  # a name inside a module
            target = target.rpartition(".")[0]
        if target and target != name and target not in ("etl", "tests"):
            yield target
    for file_name in file_names:  # `fresh.py`: a module of that file name beside nobody else's is meant
        if len(same := named.get(file_name, [])) == 1 and same[0] != name:
            yield same[0]


@cache
def _mentions(path: Path) -> tuple[set[str], set[str]]:
    """Dotted names of modules, or of names in them; and names of files."""
    nodes = list(ast.walk(parsed(path)))
    texts = {node.value for node in nodes if isinstance(node, ast.Constant) and isinstance(node.value, str)}
    dotted = {text for text in texts if _DOTTED.fullmatch(text)}
    return dotted.union(*map(_imported, nodes)), {text for text in texts if _FILE.fullmatch(text)}


def _imported(node: ast.AST) -> list[str]:
    if isinstance(node, ast.Import):
        return [alias.name for alias in node.names]
    if isinstance(node, ast.ImportFrom) and node.module and not node.level:
        return [f"{node.module}.{alias.name}" for alias in node.names]
    return []


def circles(graph: Graph) -> list[list[str]]:
    """Every group of modules that import each other, directly or by way of others (Tarjan)."""
    order: dict[str, int] = {}
    low: dict[str, int] = {}
    stack: list[str] = []
    found: list[list[str]] = []

    def visit(module: str) -> None:
        order[module] = low[module] = len(order)
        stack.append(module)
        for target in sorted(graph[module]):
            if target not in order:
                visit(target)
                low[module] = min(low[module], low[target])
            elif target in stack:
                low[module] = min(low[module], order[target])
        if low[module] == order[module]:
            at = stack.index(module)
            group, stack[at:] = stack[at:], []
            if len(group) > 1:
                found.append(sorted(group))

    for module in sorted(graph):
        if module not in order:
            visit(module)
    return found
