"""The tests of one mutant, in a forked process that imports the mutant in place of the module.

The files are never touched: the module's changed tree is compiled in memory by an import hook.
"""

from __future__ import annotations

import ast
import importlib
import importlib.abc
import importlib.machinery
import importlib.util
import os
import signal
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from types import CodeType, ModuleType

#: Of a process whose tests all passed, in which the mutant lives; and of one whose tests could not be run.
LIVES, BROKEN = 0, 9
_OURS = ("etl", "tests", "harness", "migrations", "conftest")


class _Loader(importlib.machinery.SourceFileLoader):
    def __init__(self, name: str, path: str, tree: ast.Module) -> None:
        super().__init__(name, path)
        self._tree = tree

    def get_code(self, fullname: str) -> CodeType:
        return compile(self._tree, self.path, "exec", dont_inherit=True)


class _Finder(importlib.abc.MetaPathFinder):
    def __init__(self, name: str, path: Path, tree: ast.Module) -> None:
        self._name, self._path, self._tree = name, path, tree

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        if fullname != self._name:
            return None
        loader = _Loader(fullname, str(self._path), self._tree)
        return importlib.util.spec_from_file_location(fullname, self._path, loader=loader)


def tests_pass(module: str, path: Path, tree: ast.Module, tests: Sequence[str], seconds: float) -> bool:
    """Whether the mutant lives. One that takes longer than `seconds` does not."""
    return _in_child(lambda: _judge(module, path, tree, tests), seconds) == LIVES


def preload(module: str, path: Path, tests: Sequence[str]) -> float:
    """Import what the tests need of others' packages, so that each forked process has it; returns the
    seconds that the tests take on the module as it is. Raises ValueError when they fail on it."""
    with tempfile.NamedTemporaryFile("r") as told:

        def control() -> int:
            code = _judge(module, path, ast.parse(path.read_text()), tests)
            Path(told.name).write_text("\n".join(sys.modules))
            return code

        _passing(control)
        names = told.read().split("\n")
    for name in names:
        if name.split(".")[0] not in _OURS and not name.startswith("_"):
            with suppress(Exception):
                importlib.import_module(name)
    began = time.monotonic()
    _passing(lambda: _judge(module, path, ast.parse(path.read_text()), tests))
    return time.monotonic() - began


def _passing(control: Callable[[], int]) -> None:
    if (code := _in_child(control, 3600.0)) != LIVES:
        raise ValueError(f"the tests fail on the module as it is (exit code {code})")


def _judge(module: str, path: Path, tree: ast.Module, tests: Sequence[str]) -> int:
    import pytest

    sys.meta_path.insert(0, _Finder(module, path, tree))
    for name in [name for name in sys.modules if name.split(".")[0] == "etl"]:
        del sys.modules[name]  # what this harness itself has imported
    quiet = ("-x", "-q", "--no-header", "-p", "no:cacheprovider", "-p", "no:randomly", "-p", "no:xdist")
    known = ("-W", "ignore::pytest.PytestAssertRewriteWarning")  # plugins are imported before it begins
    return int(pytest.main([*quiet, *known, *tests]))


def _in_child(work: Callable[[], int], seconds: float) -> int:
    """Its exit code; that of SIGKILL when the time is over, for it and all that it has started."""
    child = os.fork()
    if child == 0:
        code = BROKEN
        try:
            os.setsid()
            silence = os.open(os.devnull, os.O_RDWR)
            for stream in (0, 1, 2):
                os.dup2(silence, stream)
            code = work()
        finally:
            os._exit(code)
    deadline = time.monotonic() + seconds
    while True:
        pid, status = os.waitpid(child, os.WNOHANG)
        if pid:
            return os.waitstatus_to_exitcode(status)
        if time.monotonic() > deadline:
            with suppress(ProcessLookupError):
                os.killpg(child, signal.SIGKILL)
        time.sleep(0.02)
