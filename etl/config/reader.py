"""The tree of a configuration file to records: every problem found, none repeats a value.

Two steps, so that `defaults` can be laid under each source: `read` turns a node into `Fields` (converted
values, each with its place), `build` turns fields into the record and asks it for `problems()`.
"""

from __future__ import annotations

import types
from functools import cache
from typing import Annotated, Any, Union, get_args, get_origin, get_type_hints

import msgspec

from etl.config.node import BROKEN, Node, Unset, show_key
from etl.config.scalars import Invalid, convert_scalar
from etl.config.secret import Secret, read_secret_file


class Fields(dict[str, Any]):
    """The values given for one record, and where: `at` of the whole, `where` of each key, `path` in words."""

    def __init__(self, struct: type[msgspec.Struct], at: str, path: str) -> None:
        super().__init__()
        self.struct, self.at, self.path = struct, at, path
        self.where: dict[str, str] = {}
        self.broken: set[str] = set()  # keys whose problem is already reported

    def over(self, under: Fields) -> Fields:
        """These values laid over others: mappings key by key; a key drives out those that it excludes."""
        merged = Fields(self.struct, self.at, self.path)
        pairs = exclusive_keys(self.struct)
        barred = {other for pair in pairs for key in pair if self.get(key) is not None for other in pair}
        for fields in (under, self):
            for key, value in fields.items():
                if fields is under and key in barred and key not in self:
                    continue
                merged[key] = _lay_over(value, merged.get(key))
                merged.where[key] = fields.where[key]
        merged.broken = self.broken | {key for key in under.broken if key not in self}
        return merged


def _lay_over(value: Any, under: Any) -> Any:
    if isinstance(value, Fields) and isinstance(under, Fields):
        return value.over(under)
    if isinstance(value, dict) and isinstance(under, dict):
        return {**under, **value}
    return value


def exclusive_keys(struct: type[msgspec.Struct]) -> tuple[tuple[str, str], ...]:
    """Pairs of keys of which only one may stand."""
    pairs: tuple[tuple[str, str], ...] = getattr(struct, "EXCLUSIVE", ())
    return pairs


@cache
def keys_of(struct: type[msgspec.Struct]) -> dict[str, Any]:
    """The keys that a mapping for this record may hold, with their types; `*_file` keys included."""
    hints = get_type_hints(struct, include_extras=True)
    found = {name: hints[name] for name in struct.__struct_fields__}
    files = [name for name, hint in found.items() if _is_secret(hint)]
    return found | {f"{name}_file": str for name in files}


def _is_secret(hint: Any) -> bool:
    return _secret_type(_unwrap_optional(hint)) is not None


def _secret_type(kind: Any) -> type[Secret] | None:
    base = get_args(kind)[0] if get_origin(kind) is Annotated else kind
    return base if isinstance(base, type) and issubclass(base, Secret) else None


def _unwrap_optional(hint: Any) -> Any:
    """`X` of `X | None`."""
    if get_origin(hint) in (Union, types.UnionType):
        return next(arg for arg in get_args(hint) if arg is not type(None))
    return hint


class Reader:
    """Collects problems while it reads; nothing is raised. `missing` are those of secrets, which concern only
    who needs them."""

    def __init__(self) -> None:
        self.problems: list[str] = []
        self.missing: list[str] = []
        self._listed: set[tuple[str, ...]] = set()

    def is_broken(self, node: Node, path: str) -> bool:
        """Whether the node has no value that could be read; it is reported then."""
        if isinstance(node.value, Unset):
            self.report(node.where, path, node.value.problem)
            return True
        return node.value is BROKEN

    def _missing_secret(self, node: Node, unset: Unset, kind: type[Secret], path: str) -> Secret:
        text = f"{node.where}: {path}: {unset.secret}"
        self.missing.append(text)
        return kind.missing(text, unset.file)

    def report(self, where: str, path: str, message: str) -> None:
        text = f"{where}: {path}: {message}" if path else f"{where}: {message}"
        if text not in self.problems:
            self.problems.append(text)

    def read(
        self,
        node: Node,
        struct: type[msgspec.Struct],
        path: str,
        without: tuple[str, ...] = (),
        beside: tuple[str, ...] = (),
    ) -> Fields:
        """The mapping as fields of this record; `without` names fields that may not stand here, `beside` keys
        that may, and that somebody else reads."""
        fields = Fields(struct, node.where, path)
        if self.is_broken(node, path) or node.value is None:
            fields.broken.update(_required_keys(struct) if isinstance(node.value, Unset) else ())
            return fields
        if not isinstance(node.value, dict):
            self.report(node.where, path, "expects a mapping of keys to values")
            fields.broken.update(_required_keys(struct))
            return fields
        allowed = {key: hint for key, hint in keys_of(struct).items() if key not in without}
        for key, item in node.value.items():
            if key in allowed:
                self._read_field(fields, key, allowed[key], item)
            else:
                self._report_unknown(item.where, path, key, [*allowed, *beside])
        self._check_exclusives(fields, node.value)
        return fields

    def _report_unknown(self, where: str, path: str, key: str, allowed: list[str]) -> None:
        import difflib  # only needed when something is wrong

        near = difflib.get_close_matches(key, allowed, 1, 0.6)
        hint = f"; did you mean {near[0]}?" if near else self._list_once(tuple(sorted(allowed)))
        self.report(where, f"{path}.{show_key(key)}" if path else show_key(key), f"unknown key{hint}")

    def _list_once(self, known: tuple[str, ...]) -> str:
        """The keys that are known in a place; of many such places only the first tells."""
        if known in self._listed:
            return ""
        self._listed.add(known)
        return f"; known here: {', '.join(known)}"

    def _read_field(self, fields: Fields, key: str, hint: Any, node: Node) -> None:
        path = f"{fields.path}.{key}" if fields.path else key
        name = key
        if key not in fields.struct.__struct_fields__:
            name = key.removesuffix("_file")
            hint = keys_of(fields.struct)[name]
            node = self._secret_file(node, path)
        value = self.value(node, hint, path)
        if value is BROKEN:
            fields.broken.add(name)
        else:
            # A file that says null means "no file", not "no secret".
            if key != name and value is None:
                return
            fields[name] = value
            fields.where[name] = node.where

    def _secret_file(self, node: Node, path: str) -> Node:
        if node.value is None or node.value is BROKEN or isinstance(node.value, Unset):
            return node
        try:
            if not isinstance(node.value, str):
                raise ValueError("expects the path of a file")
        except ValueError as exc:
            self.report(node.where, path, str(exc))
            return Node(BROKEN, node.where)
        try:
            return Node(read_secret_file(node.value), node.where, file=node.value)
        except ValueError as exc:
            return Node(Unset(str(exc), str(exc), node.value), node.where)

    def _check_exclusives(self, fields: Fields, given: dict[str, Node]) -> None:
        stands = {key for key, node in given.items() if node.value is not None}
        files = [(key[: -len("_file")], key) for key in keys_of(fields.struct) if key.endswith("_file")]
        for one, other in (*exclusive_keys(fields.struct), *files):
            if one in stands and other in stands:
                where = given[other].where
                self.report(where, fields.path, f"{one} and {other} exclude each other; keep one")

    def value(self, node: Node, hint: Any, path: str) -> Any:
        """The value in the type that the field wants, or BROKEN after a report."""
        kind = _unwrap_optional(hint)
        if isinstance(node.value, Unset) and (secret := _secret_type(kind)):
            return self._missing_secret(node, node.value, secret, path)
        if self.is_broken(node, path):
            return BROKEN
        if isinstance(kind, type) and issubclass(kind, msgspec.Struct):
            return self.read(node, kind, path)
        if node.value is None and kind is not hint:
            return None
        if get_origin(kind) in (tuple, dict):
            return self._read_container(node, kind, path)
        try:
            return convert_scalar(node, kind)
        except Invalid as exc:
            self.report(node.where, path, str(exc))
            return BROKEN

    def _read_container(self, node: Node, kind: Any, path: str) -> Any:
        inner = get_args(kind)[-1] if get_origin(kind) is dict else get_args(kind)[0]
        wanted, name = (dict, "a mapping") if get_origin(kind) is dict else (list, "a list")
        if node.value is None:
            return wanted()
        if not isinstance(node.value, wanted):
            self.report(node.where, path, f"expects {name}")
            return BROKEN
        if inner is Any:
            return self._plain_value(node, path)
        entries: Any = node.value.items() if isinstance(node.value, dict) else enumerate(node.value)
        read = {key: self.value(item, inner, _path_below(path, key)) for key, item in entries}
        kept = {key: value for key, value in read.items() if value is not BROKEN}
        return kept if wanted is dict else list(kept.values())

    def _plain_value(self, node: Node, path: str) -> Any:
        """The value without places, of whatever kind; what is not set counts as a secret."""
        if isinstance(node.value, Unset):
            return self._missing_secret(node, node.value, Secret, path)
        if isinstance(node.value, dict):
            return {key: self._plain_value(item, _path_below(path, key)) for key, item in node.value.items()}
        if isinstance(node.value, list):
            return [
                self._plain_value(item, _path_below(path, number)) for number, item in enumerate(node.value)
            ]
        return node.value

    def build(self, fields: Fields) -> Any:
        """The record, or None after a report."""
        before, struct = len(self.problems), fields.struct
        given = {key: self._build_value(value) for key, value in fields.items()}
        for one, other in exclusive_keys(struct):
            for key, absent in ((one, other), (other, one)):
                if given.get(key) is not None:
                    given.setdefault(absent, None)
        for key in _required_keys(struct):
            if key not in given and key not in fields.broken:
                self.report(fields.at, fields.path, f"{key} is missing")
        if len(self.problems) > before or fields.broken:
            return None
        record = struct(**given)
        for key, message in getattr(record, "problems", tuple)():
            self.report(fields.where.get(key, fields.at), f"{fields.path}.{key}".lstrip("."), message)
        return record

    def _build_value(self, value: Any) -> Any:
        if isinstance(value, Fields):
            return self.build(value)
        if isinstance(value, list):
            return tuple(self._build_value(item) for item in value)
        return value


def _path_below(path: str, key: str | int) -> str:
    return f"{path}[{key}]" if isinstance(key, int) else f"{path}.{show_key(key)}"


def _required_keys(struct: type[msgspec.Struct]) -> list[str]:
    return [f.name for f in msgspec.structs.fields(struct) if f.required]
