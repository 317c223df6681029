"""Rights beyond the tables are named; an account that can only read has none."""

from __future__ import annotations

import pytest

from etl.analytics.adhoc_sql import run_statement
from etl.db.engine import make_engine
from etl.db.rights import may_write, server_rights
from etl.schema import migrate
from tests.support.databases import PASSWORD, Server


def test_a_reader_on_mariadb(mariadb: Server) -> None:
    url = mariadb.create("rights")
    mighty = make_engine(url)
    migrate.upgrade_schema(mighty)
    assert {"ALL PRIVILEGES", "SUPER"} & set(server_rights(mighty)) and may_write(mighty)
    is_mysql = mighty.dialect.name == "mysql"
    mighty.dispose()
    mariadb.execute(f"CREATE USER looker@'127.0.0.1' IDENTIFIED BY '{PASSWORD}'")
    mariadb.execute("GRANT SELECT, SHOW VIEW ON rights.* TO looker@'127.0.0.1'")
    reader = make_engine(url.replace("etl:", "looker:"))
    assert server_rights(reader) == () and not may_write(reader)
    assert run_statement(reader, "SELECT COUNT(*) FROM daily_jobs").rows == ((0,),)
    reader.dispose()
    mariadb.execute("GRANT FILE, SHOW DATABASES ON *.* TO looker@'127.0.0.1'")
    reader = make_engine(url.replace("etl:", "looker:"))
    assert server_rights(reader) == ("FILE",) and not may_write(reader)
    administrators = "CONNECTION_ADMIN" if is_mysql else "CONNECTION ADMIN"
    mariadb.execute(f"GRANT {administrators} ON *.* TO looker@'127.0.0.1'")
    assert server_rights(reader) == ("FILE", administrators)
    reader.dispose()
    mariadb.execute("DROP USER looker@'127.0.0.1'")
    mariadb.drop("rights")


def test_a_reader_on_postgresql(postgres: Server, _postgres_template: str) -> None:
    url = postgres.create("rights", template=_postgres_template)
    mighty = make_engine(url)
    assert server_rights(mighty) == ("SUPERUSER",) and may_write(mighty)
    with mighty.begin() as connection:
        connection.exec_driver_sql("CREATE ROLE looker LOGIN")
        connection.exec_driver_sql("ALTER ROLE looker SET default_transaction_read_only = on")
        connection.exec_driver_sql("GRANT SELECT ON ALL TABLES IN SCHEMA public TO looker")
    reader = make_engine(url.replace("etl:", "looker:"))
    assert server_rights(reader) == () and not may_write(reader)
    assert run_statement(reader, "SELECT COUNT(*) FROM daily_jobs").rows == ((0,),)
    postgres.execute("GRANT pg_read_server_files, pg_signal_backend TO looker")
    assert server_rights(reader) == ("pg_read_server_files", "pg_signal_backend")
    reader.dispose()
    mighty.dispose()
    postgres.drop("rights")
    postgres.execute("DROP ROLE looker")


@pytest.mark.parametrize("database", ["sqlite"], indirect=True)
def test_a_file_has_no_server(engine) -> None:  # type: ignore[no-untyped-def]
    assert server_rights(engine) == ()
