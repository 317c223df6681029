"""Configuration: a YAML file, the environment, or both.

A file is named by `--config` or BIFROST_ETL_CONFIG; otherwise bifrost-etl.yaml in the current directory is
used when it is there (no other folder is searched). `Config.origin` says which.
A file without `sources`, or no file, means one source from BIFROST_BASE_URL, BIFROST_API_KEY and
BIFROST_PROVIDER (optional: BIFROST_KEY_NAME, BIFROST_VIRTUAL_KEY); a file without `database.url` means
DATABASE_URL. Each variable may be given as NAME_FILE, the path of a file that holds it. Every key stands in
config.example.yaml.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path

from etl.config.model import Config
from etl.config.needed import hint_where
from etl.config.node import BROKEN, BothGiven, Node, Unset, read_variable, variable_file
from etl.config.reader import Fields, Reader
from etl.config.source import Source
from etl.errors import ConfigError

DEFAULT_FILE = "bifrost-etl.yaml"
_SOURCE_VARIABLES = {
    "base_url": "BIFROST_BASE_URL",
    "api_key": "BIFROST_API_KEY",
    "provider": "BIFROST_PROVIDER",
    "key_name": "BIFROST_KEY_NAME",
    "virtual_key": "BIFROST_VIRTUAL_KEY",
}
_ENVIRONMENT = "environment"


def load_config(path: Path | None, environ: Mapping[str, str]) -> Config:
    """The whole configuration. Raises one ConfigError that lists every problem, a line each.

    A configuration without any source is valid: `Config.choose` complains where sources are needed.
    """
    file, origin = _find_file(path, environ)
    reader = Reader()
    root = _parse_file(file, environ, reader) if file else Node({}, _ENVIRONMENT)
    config = _build_config(root, environ, reader)
    if reader.problems or config is None:
        raise _config_error([*reader.problems, *reader.missing], origin)
    return _set_origin(config, origin=origin, path=file)


def example_text() -> str:
    """The text of config.example.yaml: every key, its default, and why."""
    from importlib import resources

    return resources.files("etl").joinpath("config.example.yaml").read_text(encoding="utf-8")


def _find_file(path: Path | None, environ: Mapping[str, str]) -> tuple[Path | None, str]:
    named = environ.get("BIFROST_ETL_CONFIG")
    if path is not None:
        return path, f"{path} (--config)"
    if named:
        return Path(named).expanduser(), f"{named} (BIFROST_ETL_CONFIG)"
    local = Path(DEFAULT_FILE)
    if local.is_file():
        return local, f"{local} (current directory)"
    return None, f"the environment; there is no {DEFAULT_FILE} in the current directory"


def _parse_file(file: Path, environ: Mapping[str, str], reader: Reader) -> Node:
    from etl.config.yaml_nodes import parse_yaml  # PyYAML: only when there is a file

    try:
        data = file.read_bytes()
    except FileNotFoundError:
        raise ConfigError(f"{file}: there is no such file", hint="bifrost-etl init writes one") from None
    except OSError as exc:
        raise ConfigError(f"{file}: cannot be read: {exc.strerror}") from None
    return parse_yaml(data, str(file), environ, reader.problems)


def _config_error(problems: list[str], origin: str) -> ConfigError:
    count = len(problems)
    head = "" if count == 1 else f"{count} problems in the configuration\n"
    return ConfigError(head + "\n".join(sorted(problems, key=_line_of_problem)), hint=hint_where(origin))


def _line_of_problem(problem: str) -> int:
    match = re.match(r".*?:(\d+): ", problem)
    return int(match[1]) if match else 0


def _build_config(root: Node, environ: Mapping[str, str], reader: Reader) -> Config | None:
    if root.value is None:
        root = Node({}, root.where)
    if not isinstance(root.value, dict):
        reader.report(root.where, "", "the file must be a mapping: sources: …, database: …")
        return None
    sections = dict(root.value)
    defaults = sections.pop("defaults", Node(None, root.where))
    under = reader.read(defaults, Source, "defaults", without=("name",))
    sources = sections.pop("sources", Node(None, root.where))
    known = Node(
        {**sections, "database": _database_node(sections.get("database"), environ, reader)}, root.where
    )
    fields = reader.read(
        known, Config, "", without=("origin", "path", "sources"), beside=("sources", "defaults")
    )
    fields["sources"] = list(_source_fields(sources, under, environ, reader))
    _refuse_duplicates(fields["sources"], reader)
    _refuse_duplicates(fields.get("budgets", []), reader)
    _refuse_duplicates(fields.get("feed", {}).get("destinations", []), reader)
    config: Config | None = reader.build(fields)
    return config


def _database_node(node: Node | None, environ: Mapping[str, str], reader: Reader) -> Node:
    """The database section, with DATABASE_URL where it names no URL."""
    node = node or Node(None, _ENVIRONMENT)
    given = {} if node.value is None else node.value
    if not isinstance(given, dict) or any(
        key in given and given[key].value is not None for key in ("url", "url_file")
    ):
        return node
    url = _from_environment("DATABASE_URL", environ, reader)
    return Node({**given, "url": url}, node.where) if url else node


def _source_fields(node: Node, under: Fields, environ: Mapping[str, str], reader: Reader) -> Iterator[Fields]:
    if node.value in (None, []):
        node = Node(_environment_source(environ, reader), _ENVIRONMENT)
    if not isinstance(node.value, list):
        if not reader.is_broken(node, "sources"):
            reader.report(
                node.where, "sources", "expects a list: each source starts with a dash and its name"
            )
        return
    for number, item in enumerate(node.value):
        if item.value is None:
            reader.report(item.where, f"sources[{number}]", "is empty")
            continue
        yield reader.read(item, Source, f"sources[{number}]").over(under)


def _environment_source(environ: Mapping[str, str], reader: Reader) -> list[Node]:
    found = {key: _from_environment(name, environ, reader) for key, name in _SOURCE_VARIABLES.items()}
    if found["base_url"] is None:
        return []
    given = {key: node for key, node in found.items() if node is not None}
    return [Node({"name": Node("default", _ENVIRONMENT), **given}, _ENVIRONMENT)]


def _from_environment(name: str, environ: Mapping[str, str], reader: Reader) -> Node | None:
    where = f"environment variable {name}"
    try:
        text = read_variable(environ, name)
    except BothGiven as exc:
        reader.report(where, "", str(exc))
        return Node(BROKEN, where)
    except ValueError as exc:
        return Node(Unset(str(exc), str(exc), variable_file(environ, name)), where)
    if text is None or not text.strip():
        return None
    return Node(text.strip(), where, file=variable_file(environ, name))  # a shell, a Secret: "openai\n"


def _refuse_duplicates(items: list[Fields], reader: Reader) -> None:
    first: dict[str, str] = {}
    for item in items:
        name = item.get("name")
        if name in first:
            message = f"this name is used twice, first at {first[name]}"
            reader.report(item.where["name"], f"{item.path}.name", message)
        elif name is not None:
            first[name] = item.where["name"]


def _set_origin(config: Config, *, origin: str, path: Path | None) -> Config:
    from msgspec.structs import replace

    return replace(config, origin=origin, path=path)
