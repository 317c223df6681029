"""Database URLs as hosting services and other clients write them: understood, or refused by name."""

from __future__ import annotations

from typing import Any

import pytest
import sqlalchemy as sa

from etl.db import mysql_urls, postgres
from etl.db.engine import make_engine
from etl.errors import ConfigError
from tests.support.databases import Server


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("ssl-mode=REQUIRED", {"ssl": {"verify_mode": "none"}}),
        ("ssl_mode=REQUIRED", {"ssl": {"verify_mode": "none"}}),
        ("sslmode=require", {"ssl": {"verify_mode": "none"}}),
        ("useSSL=true", {"ssl": {"verify_mode": "none"}}),
        ("tls=skip-verify", {"ssl": {"verify_mode": "none"}}),
        ("ssl-mode=VERIFY_CA&ssl_ca=/ca.pem", {"ssl_verify_cert": True, "ssl_ca": "/ca.pem"}),
        ("ssl-mode=VERIFY_IDENTITY", {"ssl_verify_cert": True, "ssl_verify_identity": True}),
        ("ssl-mode=DISABLED", {"ssl_disabled": True}),
        ("useSSL=false&serverTimezone=UTC", {"ssl_disabled": True}),
        ("sslmode=prefer", {}),
        ("charset=latin1&connect_timeout=3", {"connect_timeout": 3}),
        ("unix_socket=/run/mysqld/mysqld.sock", {"unix_socket": "/run/mysqld/mysqld.sock"}),
    ],
)
def test_what_mysql_urls_mean(query: str, expected: dict[str, Any]) -> None:
    url, found, problem = mysql_urls.read_url(sa.make_url(f"mysql+pymysql://u@h/d?{query}"))
    assert (found, problem) == (expected, None)
    assert not url.query


@pytest.mark.parametrize(
    ("url", "named"),
    [
        ("mysql://u:p@h/d?pool_size=5", "pool_size"),
        ("mysql://u:p@h/d?ssl-mode=SOMETIMES", "ssl-mode"),
        ("mysql://u:p@h/d?connect_timeout=soon", "connect_timeout"),
        ("mysql://u:p@h/d?local_infile=1", "local_infile"),
        ("postgresql://u:p@h/d?schema=public", "schema"),
        ("postgresql://u:p@h/d?pool_size=5", "pool_size"),
        ("postgresql://u:p@h/d?prepare_threshold=often", "prepare_threshold"),
        ("postgresql://u:p@h/d?pgbouncer=maybe", "pgbouncer"),
        ("postgresql://u:p@h/d?sslmode", "sslmode"),
        ("postgresql://u:p@h/d?sslmode=", "sslmode"),
        ("mysql://u:p@h/d?ssl-mode=", "ssl-mode"),
        ("sqlite:///x.db?mode=ro", "mode"),
        ("sqlite:///what?.db", "db"),
    ],
)
def test_what_means_nothing_is_refused_by_name(url: str, named: str) -> None:
    with pytest.raises(ConfigError, match=named) as found:
        make_engine(url)
    assert ":p@" not in str(found.value)


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("sslmode=require", {}),
        ("pgbouncer=true", {"prepare_threshold": None}),
        ("prepare_threshold=0", {"prepare_threshold": 0}),
        ("options=-csearch_path%3Detl&application_name=mine", {}),
    ],
)
def test_what_postgresql_urls_mean(query: str, expected: dict[str, Any]) -> None:
    _, found, problem = postgres.read_url(sa.make_url(f"postgresql+psycopg://u@h/d?{query}"))
    assert (found, problem) == (expected, None)


@pytest.mark.parametrize("query", ["sslmode=prefer", "prepare_threshold=0", "pgbouncer=true"])
def test_a_server_answers_to_them(postgres: Server, query: str) -> None:
    engine = make_engine(f"{postgres.create('urls')}?{query}")
    with engine.connect() as connection:
        assert connection.scalar(sa.text("SELECT 1")) == 1
    engine.dispose()
    postgres.drop("urls")


def test_dates_are_read_whatever_style_the_server_prefers(postgres: Server) -> None:
    url = postgres.create("styles")
    postgres.execute("ALTER DATABASE styles SET datestyle = 'German'")
    engine = make_engine(url)
    with engine.connect() as connection:
        moment = connection.scalar(sa.text("SELECT timestamptz '2026-02-01 03:04:05+00'"))
    assert moment.isoformat() == "2026-02-01T03:04:05+00:00"
    engine.dispose()
    postgres.drop("styles")
