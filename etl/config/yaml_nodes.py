"""YAML text to a tree in which every value knows where it stands, with `${VAR}` expanded.

Scalars follow YAML 1.2's core schema: `on`, `no` and `1:30` are text, dates stay text. Problems are collected
in a list, never raised one by one, and never repeat a value.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import yaml

from etl.config.node import BROKEN, BothGiven, Node, Unset, read_variable, show_key, variable_file
from etl.errors import ConfigError

_VARIABLE = re.compile(r"\$(?:(\$)|\{([A-Za-z_][A-Za-z0-9_]*)(?::-([^}]*))?\}|(\{))")


#: Of mappings and lists inside each other; the deepest setting lies at 6.
MAX_DEPTH = 20
#: Aliases may multiply a file this many times, and small ones to this many values.
_MOST_TIMES, _MOST_VALUES = 10, 10_000


class _Loader(yaml.SafeLoader):
    """SafeLoader with YAML 1.2's core schema, so that `on:` is a key and `no` a word."""

    #: Nodes so far, each counted once however many aliases name it, and how deep the present one lies.
    nodes = depth = 0

    def compose_node(self, parent: yaml.Node | None, index: Any) -> yaml.Node | None:
        self.nodes, self.depth = self.nodes + 1, self.depth + 1
        if self.depth > MAX_DEPTH:  # each level is three calls of PyYAML's
            problem = f"nested more than {MAX_DEPTH} levels deep"
            place = self.peek_event().start_mark  # type: ignore[no-untyped-call]
            raise yaml.composer.ComposerError(None, None, problem, place)
        node: yaml.Node | None = super().compose_node(parent, index)
        self.depth -= 1
        return node

    yaml_implicit_resolvers: dict[str, list[tuple[str, re.Pattern[str]]]] = {}  # noqa: RUF012 - PyYAML's own


for _tag, _pattern, _first in (
    ("bool", r"true|True|TRUE|false|False|FALSE", "tTfF"),
    ("int", r"[-+]?[0-9]+", "-+0123456789"),
    (
        "float",
        r"[-+]?(\.[0-9]+|[0-9]+\.[0-9]*)([eE][-+]?[0-9]+)?|[-+]?[0-9]+[eE][-+]?[0-9]+",
        "-+.0123456789",
    ),
    ("null", r"~|null|Null|NULL|", ["~", "n", "N", ""]),
):
    _Loader.add_implicit_resolver(f"tag:yaml.org,2002:{_tag}", re.compile(rf"^(?:{_pattern})$"), list(_first))


def parse_yaml(data: bytes, file: str, environ: Mapping[str, str], problems: list[str]) -> Node:
    """The document as a tree. Raises ConfigError when it is not YAML; other problems go to the list."""
    try:
        loader = _Loader(data.decode("utf-8-sig"))
        root = loader.get_single_node()
    except UnicodeDecodeError as exc:
        line = data.count(b"\n", 0, exc.start) + 1
        raise ConfigError(f"{file}:{line}: this file is not UTF-8 text") from None
    except yaml.reader.ReaderError as exc:
        line = data.decode("utf-8-sig")[: exc.position].count("\n") + 1
        raise ConfigError(f"{file}:{line}: holds a control character that YAML does not allow") from None
    except yaml.MarkedYAMLError as exc:
        raise ConfigError(_syntax_problem(file, exc)) from None
    return (
        _NodeReader(file, environ, problems, loader).node(root, f"{file}:1", "")
        if root
        else Node({}, f"{file}:1")
    )


#: What PyYAML says of common mistakes, and what we say instead.
_FAULTS = (
    (r"character '\\t'", "a tab stands here; indent with spaces"),
    (r"character '[@`%&*|>]'", "a text that begins with this character needs quotes around it"),
    (
        r"mapping values are not allowed",
        "a second colon on this line; put quotes around a text that holds ': '",
    ),
    (r"unexpected end of stream.*quoted scalar", "a quotation mark is opened above and never closed"),
    (r"parsing a flow sequence", "a list that begins with [ is not closed, or lacks a comma"),
    (r"parsing a flow mapping", "a mapping that begins with { is not closed, or lacks a comma"),
    (r"could not find expected ':'", "a key without its colon, or a text that runs on to this line"),
    (r"expected <block end>", "this line is not indented like the lines that it belongs to"),
)


def _syntax_problem(file: str, exc: yaml.MarkedYAMLError) -> str:
    mark = exc.problem_mark or exc.context_mark
    place = f"{file}:{mark.line + 1}:{mark.column + 1}" if mark else file
    said = f"{exc.problem or ''} {exc.context or ''}"
    for pattern, ours in _FAULTS:
        if re.search(pattern, said):
            return f"{place}: not valid YAML: {ours}"
    # Names of anchors and tags are quoted in the parser's message, and could be the start of a key.
    words = [re.sub(r"'[^']{2,}'", "…", text) for text in (exc.problem, exc.context) if text]
    return f"{place}: not valid YAML: {', '.join(words)}"


class _NodeReader:
    """Walks PyYAML's nodes once; keeps what every step needs."""

    def __init__(self, file: str, environ: Mapping[str, str], problems: list[str], loader: _Loader) -> None:
        self.file, self.environ, self.problems, self.loader = file, environ, problems, loader
        self.depth = self.values = 0
        self.most = max(_MOST_VALUES, _MOST_TIMES * loader.nodes)

    def node(self, node: yaml.Node, where: str, path: str) -> Node:
        self.depth, self.values = self.depth + 1, self.values + 1
        try:
            if self.depth > MAX_DEPTH:
                raise ConfigError(f"{where}: {path}: nested too deeply, or an alias inside itself")
            if self.values > self.most:
                raise ConfigError(
                    f"{where}: {path}: aliases (*name) make more than {self.most:,} values here"
                )
            if isinstance(node, yaml.MappingNode):
                return Node(self._read_mapping(node, path), where)
            if isinstance(node, yaml.SequenceNode):
                items = enumerate(node.value)
                return Node([self.node(n, self._place_of(n), f"{path}[{i}]") for i, n in items], where)
            return self._read_scalar(node, where, path)
        finally:
            self.depth -= 1

    def _place_of(self, node: yaml.Node) -> str:
        return f"{self.file}:{node.start_mark.line + 1}"

    def _read_mapping(self, node: yaml.MappingNode, path: str) -> dict[str, Node]:
        found: dict[str, Node] = {}
        for key_node, value_node in node.value:
            where = self._place_of(key_node)
            key = key_node.value
            if not isinstance(key, str):
                self.problems.append(f"{where}: {path or 'the file'}: a key must be a plain word")
                continue
            here = f"{path}.{show_key(key)}" if path else show_key(key)
            if key in found:
                first = found[key].where.rpartition(":")[2]
                self.problems.append(f"{where}: {here}: duplicate key; it was first given on line {first}")
                continue
            found[key] = self.node(value_node, where, here)
        return found

    def _read_scalar(self, node: yaml.Node, where: str, path: str) -> Node:
        text = str(node.value)
        if node.tag.startswith("tag:yaml.org,2002:") and node.tag.endswith(
            (":int", ":float", ":bool", ":null")
        ):
            return Node(self._construct_value(node, where, path), where)
        if node.tag != "tag:yaml.org,2002:str":
            self.problems.append(
                f"{where}: {path}: YAML tags (!…) are not used here; put quotes around the text"
            )
            return Node(BROKEN, where)
        if "$" not in text:
            return Node(text, where)
        plain = getattr(node, "style", None) is None
        before = len(self.problems)
        unset: list[Unset] = []
        expanded = self._expand_variables(text, where, path, unset)
        if len(self.problems) > before:
            return Node(BROKEN, where)
        if unset:
            return Node(unset[0], where)
        file = self._file_of(text)
        return Node(expanded if expanded or not plain else None, where, expanded=plain, file=file)

    def _file_of(self, text: str) -> str | None:
        """The secret file behind a text that is one variable and nothing else."""
        only = _VARIABLE.fullmatch(text)
        return variable_file(self.environ, only[2]) if only is not None and only[2] else None

    def _construct_value(self, node: yaml.Node, where: str, path: str) -> Any:
        try:
            if node.tag.endswith(":int"):
                return int(node.value)  # YAML 1.1 would read 010 as eight
            return self.loader.construct_object(node)
        except (yaml.YAMLError, ValueError, KeyError):
            self.problems.append(f"{where}: {path}: the value does not fit its tag")
            return BROKEN

    def _expand_variables(self, text: str, where: str, path: str, unset: list[Unset]) -> str:
        def put(match: re.Match[str]) -> str:
            dollar, name, default, _brace = match.groups()
            if dollar:
                return "$"
            if name is None:
                self.problems.append(
                    f"{where}: {path}: ${{ starts a variable: ${{NAME}}; write $$ for a dollar"
                )
                return ""
            return self._expand_variable(name, default, where, path, unset)

        return _VARIABLE.sub(put, text)

    def _expand_variable(
        self, name: str, default: str | None, where: str, path: str, unset: list[Unset]
    ) -> str:
        try:
            value = read_variable(self.environ, name)
        except BothGiven as exc:
            self.problems.append(f"{where}: {path}: {exc}")
            return ""
        except ValueError as exc:
            unset.append(Unset(str(exc), str(exc), variable_file(self.environ, name)))
            return ""
        if value is None and default is None:
            said = f"the environment variable {name} is not set (or empty)"
            secret = f"{said}; set it, or {name}_FILE to the path of a file that holds it"
            unset.append(Unset(f"{said}; set it, or write ${{{name}:-default}}", secret))
            return ""
        return value if value is not None else str(default)
