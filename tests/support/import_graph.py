"""The graph of imports between the project's files, as its sources say it, without running any of them.

Counted are imports at the top, in functions, under TYPE_CHECKING, by a module's dotted name in a string (for
`import_module` and `python -m`), and by a file's name (for `spec_from_file_location`).
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Mapping
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
    return {
        name: set(_targets(name, path.read_text(encoding="utf-8"), files)) for name, path in files.items()
    }


def _targets(name: str, source: str, files: Mapping[str, Path]) -> Iterator[str]:
    for node in ast.walk(ast.parse(source)):
        for target in _named(node):
            while target and target not in files:  # a name inside a module
                target = target.rpartition(".")[0]
            if target and target != name and target not in ("etl", "tests"):
                yield target
        yield from _by_file(node, name, files)


def _named(node: ast.AST) -> Iterator[str]:
    if isinstance(node, ast.Import):
        yield from (alias.name for alias in node.names)
    elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
        yield from (f"{node.module}.{alias.name}" for alias in node.names)
    elif isinstance(node, ast.Constant) and isinstance(node.value, str) and _DOTTED.fullmatch(node.value):
        yield node.value


def _by_file(node: ast.AST, name: str, files: Mapping[str, Path]) -> Iterator[str]:
    """`fresh.py` in a string: a module of that file name beside nobody else's is meant."""
    if not (isinstance(node, ast.Constant) and isinstance(node.value, str)):
        return
    found = _FILE.fullmatch(node.value)
    same = [module for module, path in files.items() if found and path.name == node.value]
    if len(same) == 1 and same[0] != name:
        yield same[0]


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
