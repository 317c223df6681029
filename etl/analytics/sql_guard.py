"""What a statement would do besides reading, judged before it is sent.

The read-only transaction (etl.analytics.read_only) keeps rows and tables as they are. It does not keep a
mighty account from writing files, ending other sessions or taking locks by functions and clauses of a
question. Those are found here. Every rule errs towards refusing: words are looked for in the raw text, in
literals and comments as well, so that no way of quoting hides one.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

import sqlalchemy as sa

from etl.errors import ConfigError

QUESTIONS = ("select", "with", "values", "table", "explain", "show", "describe", "desc", "pragma")
_WORD = re.compile(r"[\w$]+")
_CALLED = re.compile(r"([\w$]+)[\"`\]]?\s*\(")
_PHRASES = {
    "mysql": (
        ("into", "outfile"),
        ("into", "dumpfile"),
        ("lock", "in", "share", "mode"),
        ("for", "share"),
        ("for", "update"),
    ),
    "postgresql": (),  # a read-only transaction refuses the clauses that lock rows
    "sqlite": (),
}
#: MariaDB and MySQL do not say which of their own functions do more than answer.
_MYSQL_DOERS = (
    *("load_file", "get_lock", "release_lock", "release_all_locks", "nextval", "setval"),
    *("sys_exec", "sys_eval", "sys_get", "sys_set"),
)
_MYSQL_FUNCTIONS = """
SELECT routine_name FROM information_schema.routines
WHERE routine_type <> 'PROCEDURE' AND sql_data_access NOT IN ('READS SQL DATA', 'NO SQL')"""
#: Functions that PostgreSQL calls volatile although they only answer; and stable ones that run text as SQL.
_POSTGRES_HARMLESS = (
    *("random", "random_normal", "clock_timestamp", "timeofday", "gen_random_uuid", "pg_sleep", "currval"),
    *("uuid_generate_v1", "uuid_generate_v1mc", "uuid_generate_v4", "pg_relation_size", "pg_table_size"),
    *("pg_total_relation_size", "pg_indexes_size", "pg_database_size", "pg_is_in_recovery", "lastval"),
)
_POSTGRES_DOERS = """
SELECT DISTINCT proname FROM pg_catalog.pg_proc
WHERE (provolatile = 'v' OR proname ~ '^(crosstab|connectby|xpath_table)')
AND has_function_privilege(oid, 'EXECUTE')"""


def require_question(text: str, family: str) -> None:
    """Raises ConfigError unless `text` is a question by its first word and has no clause that does more."""
    if not _is_utf8(text):
        raise ConfigError("the statement is not UTF-8", hint="write it in UTF-8, or name the bytes: x'ff'")
    _refuse_hidden_words(text, family)
    word = re.match(r"[\s(]*(\w*)", _after_comments(text, family))
    if word is None or word[1].lower() not in QUESTIONS:
        raise ConfigError(
            "only statements that read are run here: the database is open read-only",
            hint=f"a statement begins with {', '.join(w.upper() for w in QUESTIONS)}",
        )
    for phrase in _PHRASES["mysql" if family == "mariadb" else family]:
        if _has_phrase(text, phrase):
            raise _does_more(" ".join(phrase).upper())


def _is_utf8(text: str) -> bool:
    """Bytes of the command line that are no text come as half surrogate pairs."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def require_only_reading_calls(connection: sa.Connection, text: str) -> None:
    """Raises ConfigError when `text` names a function that may do more than read, and may be called here."""
    names = _called_names(text)
    for doer in _functions_that_write(connection):
        if doer.lower() in names or (not _WORD.fullmatch(doer) and doer in text):
            raise _does_more(f"{doer}()")


def _refuse_hidden_words(text: str, family: str) -> None:
    if family in ("mysql", "mariadb") and (found := re.search(r"/\*M?!", text, re.I)):
        raise ConfigError(
            f"{found[0]} … */ is not a comment: the server executes what is in it",
            hint="leave it out; a plain comment is /* … */",
        )
    if family == "postgresql" and re.search(r"\bU&\"", text, re.I):
        raise ConfigError('names written in escapes (U&"…") are not run here', hint="write the name itself")


def _after_comments(text: str, family: str) -> str:
    """`text` from its first word on. PostgreSQL's comments hold comments, and end with a line of any kind."""
    line = re.compile("[\r\n]" if family == "postgresql" else "\n")
    while (text := text.lstrip()).startswith(("--", "/*")):
        if text.startswith("--"):
            text = [*line.split(text, maxsplit=1), ""][1]
        else:
            text = text[_end_of_comment(text, family == "postgresql") :]
    return text


def _end_of_comment(text: str, nested: bool) -> int:
    depth = 1
    for mark in re.finditer(r"/\*|\*/", text[2:]):
        if mark[0] == "*/":
            depth -= 1
        elif nested:
            depth += 1
        if depth == 0:
            return mark.end() + 2
    return len(text)


def _has_comment(text: str) -> bool:
    return any(mark in text for mark in ("--", "/*", "#"))


def _has_phrase(text: str, phrase: tuple[str, ...]) -> bool:
    """Whether the words follow each other; with a comment in the text, whether all of them are there."""
    words = [word.lower() for word in _WORD.findall(text)]
    if _has_comment(text):
        return set(phrase) <= set(words)
    return f" {' '.join(phrase)} " in f" {' '.join(words)} "


def _called_names(text: str) -> set[str]:
    """Names before a parenthesis; with a comment in the text, which may stand between the two, all words."""
    return {name.lower() for name in (_WORD if _has_comment(text) else _CALLED).findall(text)}


def _functions_that_write(connection: sa.Connection) -> Iterable[str]:
    family = connection.dialect.name
    if family == "postgresql":
        return set(connection.exec_driver_sql(_POSTGRES_DOERS).scalars()) - set(_POSTGRES_HARMLESS)
    if family == "sqlite":
        return ()  # its authorizer sees each call
    return (*_MYSQL_DOERS, *connection.exec_driver_sql(_MYSQL_FUNCTIONS).scalars())


def _does_more(what: str) -> ConfigError:
    return ConfigError(
        f"{what} may do more than read, and is not run here",
        hint="take it out, also from literals and comments; or use the database's own client",
    )
