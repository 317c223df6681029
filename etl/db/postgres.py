"""PostgreSQL's connections: what they are opened with, and what holds in each of their transactions.

Behind a pooler in transaction mode (PgBouncer) a session is not ours alone: whatever is set in it stays with
the server's connection and meets other programs. There everything is set for one transaction at a time, and
nothing is prepared by name.
"""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa

#: Parameters of other worlds' URLs, and what they mean here.
_TRANSLATED = {"pgbouncer": ("true", {"prepare_threshold": None})}
_ELSEWHERE = {"schema": "options=-csearch_path%3DNAME", "sslaccept": "sslmode=verify-full"}
_NUMBERS = ("prepare_threshold",)
#: To compile a report takes longer than it saves: 0.9 s of 1.1 s for daily_jobs.
_OF_NEWER_SERVERS = {"jit": "off", "transaction_timeout": "0"}
#: Reported to the client by the server, so that a pooler knows them, and keeps them for each client.
_FOLLOWED = {"TimeZone": "UTC", "DateStyle": "ISO, MDY"}


def read_url(url: sa.URL) -> tuple[sa.URL, dict[str, Any], str | None]:
    """The URL without parameters that libpq does not know, what they mean, and what is wrong with one."""
    import psycopg

    known = {option.keyword.decode() for option in psycopg.pq.Conninfo.get_defaults()}
    arguments: dict[str, Any] = {}
    for name, value in url.query.items():
        if name in _NUMBERS:
            if not str(value).isdigit():
                return url, {}, f"{name} takes a number"
            arguments[name] = int(str(value))
        elif name in _TRANSLATED and value == _TRANSLATED[name][0]:
            arguments |= _TRANSLATED[name][1]
        elif name not in known:
            hint = f"; write {_ELSEWHERE[name]}" if name in _ELSEWHERE else ""
            return url, {}, f"PostgreSQL's URLs have no parameter {name}{hint}"
    own = [name for name in url.query if name in _NUMBERS or name in _TRANSLATED]
    return url.difference_update_query(own), arguments, None


def connect_arguments(url: sa.URL) -> dict[str, Any]:
    """What every connection is opened with, unless the URL says otherwise."""
    arguments: dict[str, Any] = {
        "connect_timeout": 10,
        "application_name": "bifrost-etl",
        "client_encoding": "utf8",
        # A server that vanished is noticed within a minute, not after the kernel's two hours.
        "keepalives": 1,
        "keepalives_idle": 30,
        "keepalives_interval": 10,
        "keepalives_count": 3,
        "tcp_user_timeout": 60_000,
    }
    return {name: value for name, value in arguments.items() if name not in url.query}


def prepare_connections(engine: sa.Engine, lock_wait: float, idle_transaction_timeout: float) -> None:
    """Sets up each connection as it is made. Lengths are seconds.

    A role's or a database's own limits are made for people's questions, not for a migration or a large batch.
    """
    settings = {
        "default_transaction_isolation": "read committed",
        "lock_timeout": f"{lock_wait}s",
        "idle_in_transaction_session_timeout": f"{round(idle_transaction_timeout * 1000)}ms",
        "statement_timeout": "0",
    }
    if "statement_timeout" in str(engine.url.query.get("options", "")):
        del settings["statement_timeout"]

    @sa.event.listens_for(engine, "connect")
    def _session(connection: Any, record: Any) -> None:
        connection.autocommit = True  # nothing idles in a transaction before its limit is ours
        calls = _setting_calls(_FOLLOWED, local=False)
        [pid] = connection.execute(f"SELECT pg_backend_pid(), {calls}").fetchone()[:1]
        # A pooler answers under a number of its own, as it hands out many servers' connections.
        if pid != connection.info.backend_pid:
            record.info["local"] = _setting_calls(settings, local=True)
            connection.prepare_threshold = None
        else:
            connection.execute(f"SELECT {_setting_calls(settings, local=False)}")
        connection.autocommit = False

    @sa.event.listens_for(engine, "begin")
    def _transaction(connection: sa.Connection) -> None:
        if connection.get_execution_options().get("isolation_level") != "AUTOCOMMIT":
            for part in ("local", "reads"):
                if part in connection.info:
                    raw: Any = connection.connection.driver_connection  # whatever cursors the caller wants
                    raw.execute(f"SELECT {connection.info[part]}")


def is_pooled(record_info: Any) -> bool:
    """Whether a pooler stands between this connection and its server."""
    return "local" in record_info


def _setting_calls(settings: dict[str, str], *, local: bool) -> str:
    """SQL that makes the settings, for this transaction or for the session."""
    how = str(local).lower()
    calls = ", ".join(f"set_config('{name}', '{value}', {how})" for name, value in settings.items())
    if "lock_timeout" not in settings:
        return calls
    known = (
        f"CASE WHEN current_setting('{name}', true) <> '{value}'"
        f" THEN set_config('{name}', '{value}', {how}) END"
        for name, value in _OF_NEWER_SERVERS.items()
    )
    return ", ".join((calls, *known))


def for_reading(info: Any, timeout: float | None) -> bool:
    """Behind a pooler: each transaction from now on only reads, a question for at most `timeout` seconds.

    False where the session is our own; there it is set once.
    """
    if not is_pooled(info):
        return False
    settings = {"transaction_read_only": "on"}
    if timeout is not None:
        settings["statement_timeout"] = str(max(1, round(timeout * 1000)))
    info["reads"] = _setting_calls(settings, local=True)
    return True
