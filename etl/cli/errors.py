"""Where every error of every command ends: one line saying what, one saying what to do, and an exit code."""

from __future__ import annotations

import errno
import os
import re
import sys
import traceback
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from etl.cli.settings import CommandSettings
    from etl.feed.delivery import FeedResult
    from etl.records import RunResult

Redact = Callable[[str], str]

#: What SQLAlchemy puts around a driver's own words.
_TRIMMINGS = re.compile(r"^\([\w.]+\) | \[SQL parameters hidden .*| \(Background on this error .*")
FAILED, USAGE, PARTLY, INTERRUPTED = 1, 2, 3, 130


def run_to_exit_code(run: Callable[[], Any], settings: CommandSettings) -> int:
    """Call `run` and turn however it ends into an exit code; errors go to stderr, without secrets."""
    try:
        run()
        sys.stdout.flush()
    except SystemExit as exc:
        return _flush_output(exc, settings)
    except BrokenPipeError:
        return _closed_pipe()
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return INTERRUPTED
    except Exception as exc:  # noqa: BLE001 (the last seam: whatever comes is reported, never shown raw)
        return _report_error(exc, settings)
    return 0


def _flush_output(exc: SystemExit, settings: CommandSettings) -> int:
    try:
        sys.stdout.flush()
    except BrokenPipeError:
        return _closed_pipe()
    except OSError as full:
        return _report_error(full, settings)
    return exc.code if isinstance(exc.code, int) else int(exc.code is not None)


def _closed_pipe() -> int:
    """The reader left, as `| head` does."""
    _write_nowhere()
    return FAILED


def _write_nowhere() -> None:
    """Python would complain once more at exit of what it could not write."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _report_error(exc: Exception, settings: CommandSettings) -> int:
    from etl.cli.output import make_printable
    from etl.errors import ConfigError
    from etl.log import make_visible

    if _is_full(exc):
        _write_nowhere()
    for line in explain_error(exc):
        for part in settings.redact(line).splitlines():
            print(make_printable(part), file=sys.stderr)
    if settings.log_level == "debug":
        print(
            make_visible(settings.redact("".join(traceback.format_exception(exc)))), file=sys.stderr, end=""
        )
    return USAGE if isinstance(exc, ConfigError) else FAILED


def _is_full(exc: BaseException) -> bool:
    """No place is left where standard output or a file of ours goes."""
    return isinstance(exc, OSError) and exc.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


def exit_code(results: Sequence[RunResult | FeedResult]) -> int:
    """0 unless a run or delivery failed, was stopped, or left something unread; a source that another process
    is writing is no failure. 3 when some failed and others did not, or a part was read and a part was not."""
    from etl.records import RunResult

    if any(result.status == "interrupted" for result in results):
        return INTERRUPTED
    failed = sum(result.status == "failed" for result in results)
    blind = [result for result in results if isinstance(result, RunResult) and result.blind]
    if not failed and not blind:
        return 0
    nothing = failed + sum(result.counts.jobs_seen == 0 for result in blind)
    return FAILED if nothing == len(results) else PARTLY


def error_document(error: BaseException | None, redact: Redact) -> dict[str, str | None] | None:
    """An error in the JSON of every command: its class, its message with what caused it, what to do."""
    from etl.errors import hint_of

    if error is None:
        return None
    hint = hint_of(error)
    return {
        "class": type(error).__name__,
        "message": redact(": ".join((str(error), *_explain_causes(error)))),
        "hint": hint and redact(hint),
    }


def print_error(name: str, error: BaseException, redact: Redact) -> None:
    """What went wrong with the source or destination of this name, to stderr."""
    from etl.cli.output import print_line

    first, *more = explain_error(error)
    print_line(f"{name}: {redact(first)}", stream=sys.stderr)
    for line in more:
        print_line(redact(line), stream=sys.stderr)


def explain_error(exc: BaseException) -> Iterator[str]:
    """The lines that tell a person about an error: what, why (its causes), what to do."""
    from etl.errors import EtlError

    if _is_full(exc) and isinstance(exc, OSError):
        yield f"error: cannot write {exc.filename or 'the output'}: {exc.strerror}"
        yield "  hint: free space there; what is in the database stays as it is"
        return
    if not isinstance(exc, EtlError):
        yield f"error: unexpected {type(exc).__name__}: {exc}"
        yield "  hint: run it again with --log-level debug before the command, and report what it prints"
        return
    yield f"error: {exc}"
    yield from (f"  because: {cause}" for cause in _explain_causes(exc))
    if exc.hint:
        yield f"  hint: {exc.hint}"


def _explain_causes(exc: BaseException) -> Iterator[str]:
    """What the error came from, as far as it adds anything to what was said already."""
    said = " ".join(str(exc).split())
    told = said.rpartition(" (")[0] or said  # without where it happened
    while (cause := exc.__cause__) is not None:
        text = _TRIMMINGS.sub("", " ".join(str(cause).split())) or type(cause).__name__
        if text not in said and told not in text:
            yield text[:500]
            said += text
        exc = cause
