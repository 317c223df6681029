"""Is the database reachable, are its tables this program's, and could a sync write? Nothing stays written."""

from __future__ import annotations

import os
import shlex
import stat
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from etl.check.finding import Finding
from etl.db import versions
from etl.db.engine import Engine, file_missing, is_sqlite, make_engine, read_transaction
from etl.db.rights import HINT, server_rights
from etl.errors import DatabaseUnavailable, EtlError, SchemaMismatch
from etl.schema import migrate
from etl.schema.compare import find_differences
from etl.schema.trial import try_writing
from etl.schema.views.create import missing_views


def check_database(url: str) -> Iterator[Finding]:
    """Is the database reachable, are its tables this program's, and could a sync write? It leaves nothing."""
    try:
        engine = make_engine(url)
    except EtlError as exc:
        yield Finding("database", False, str(exc), exc.hint)
        return
    try:
        if file_missing(engine):
            yield _new_file(Path(str(engine.url.database)))
            return
        yield from _check_tables(engine)
    except EtlError as exc:
        yield Finding("database", False, str(exc), exc.hint or _database_hint(exc))
    finally:
        engine.dispose()


def _new_file(path: Path) -> Finding:
    if not os.access(path.parent, os.W_OK | os.X_OK):
        hint = "may this user write there, and is the path in the database URL right?"
        return Finding("database", False, f"no file can be created in {path.parent}", hint)
    return Finding("database", None, "the file does not exist yet; the first sync creates it")


def _check_tables(engine: Engine) -> Iterator[Finding]:
    revision = migrate.current_revision(engine)
    yield from _check_version(engine)
    if is_sqlite(engine):
        yield from _check_privacy(Path(str(engine.url.database)))
    if revision is None:
        yield Finding("tables", None, "none yet; the first sync creates them, or: bifrost-etl db upgrade")
    else:
        yield _as_declared(engine, revision)
    yield _check_writable(engine)
    yield from _check_rights(engine)


def _check_version(engine: Engine) -> Iterator[Finding]:
    with read_transaction(engine) as connection:
        yield Finding("database", True, f"reachable: {versions.name_version(connection)}")
        if old := versions.what_is_too_old(connection):
            yield Finding("version", False, old, "move to a newer one: docs/install.md names those tried")


def _check_privacy(path: Path) -> Iterator[Finding]:
    """A file that was there before, or was copied, may have the umask's rights; prompts are in it."""
    with suppress(OSError):  # gone meanwhile: what follows says so
        mode = stat.S_IMODE(path.stat().st_mode)
        if os.name == "posix" and mode & stat.S_IROTH:
            said = f"every user of this machine may read {path} (mode {mode:04o}), prompts included"
            files = " ".join(
                shlex.quote(str(path) + end) for end in ("", "-wal", "-shm") if Path(f"{path}{end}").exists()
            )
            yield Finding("privacy", None, said, f"run: chmod o-rwx {files}")


def _as_declared(engine: Engine, revision: str) -> Finding:
    try:
        migrate.check_schema(engine)
        require_declared(engine)
    except EtlError as exc:
        return Finding("tables", False, str(exc), exc.hint)
    return Finding("tables", True, f"at revision {revision}, as this program needs")


def require_declared(engine: Engine) -> None:
    """Raises SchemaMismatch when tables, columns, keys, indexes or views are not as declared."""
    found = find_differences(engine)
    with read_transaction(engine) as connection:
        gone = [f"view {name} is missing" for name in missing_views(connection)]
    if found:
        hint = "somebody altered them: put them back by hand, or restore a backup; nothing here repairs them"
        raise SchemaMismatch(f"the tables are not as declared: {'; '.join(found + gone)}", hint=hint)
    if gone:
        raise SchemaMismatch(f"views are not there: {'; '.join(gone)}", hint="run: bifrost-etl db upgrade")


def _check_writable(engine: Engine) -> Finding:
    try:
        if migrate.current_revision(engine) in (None, migrate.head_revision()):
            return Finding("writing", True, try_writing(engine))
        return Finding("writing", None, "not checked: the tables are of another revision")
    except EtlError as exc:
        return Finding("writing", False, str(exc), exc.hint or _database_hint(exc))


def _check_rights(engine: Engine) -> Iterator[Finding]:
    """Rights that a sync does not need are no fault, but whoever uses `sql` or the dashboard has them."""
    if rights := server_rights(engine):
        said = f"this account may do more than a sync needs: {', '.join(rights)}"
        yield Finding("rights", None, said, HINT)


def _database_hint(error: EtlError) -> str:
    if isinstance(error, DatabaseUnavailable):
        return "is the server running, and are host, port, user and password in the URL right?"
    return "the database's own message says what is missing"
