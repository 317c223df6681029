"""A key that a command prints, for secret stores: Vault's, a cloud's, a password manager's."""

from __future__ import annotations

import shlex
import subprocess

from etl.errors import ConfigError

#: A secret store that takes longer does not answer.
PATIENCE = 30.0


def key_from_command(command: str) -> str:
    """What the command prints, without the white space around it. It runs without a shell.

    Raises ConfigError, which quotes nothing that the command has printed."""
    try:
        done = subprocess.run(  # noqa: S603 (the configuration's own command)
            shlex.split(command), capture_output=True, timeout=PATIENCE, check=False, stdin=subprocess.DEVNULL
        )
    except (OSError, ValueError) as exc:
        reason = getattr(exc, "strerror", None) or "it cannot be split into words"
        raise _command_failed(f"cannot be started: {reason}") from None
    except subprocess.TimeoutExpired:
        raise _command_failed(f"printed nothing within {PATIENCE:.0f} s") from None
    if done.returncode != 0:
        raise _command_failed(f"ended with exit code {done.returncode}")
    try:
        key = done.stdout.decode("utf-8-sig").strip()
    except UnicodeDecodeError:
        raise _command_failed("printed something that is not UTF-8 text") from None
    if not key or not key.isascii() or not key.isprintable():
        raise _command_failed("printed no key: one line of plain characters is expected")
    return key


def _command_failed(what: str) -> ConfigError:
    return ConfigError(f"api_key_command {what}", hint="run it by hand, as the user that runs bifrost-etl")
