"""`bifrost-etl init`: write a commented configuration file."""

from __future__ import annotations

import json
import os
import re
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated

import typer

from etl.cli.asking import ask_text
from etl.cli.output import DIM, GOOD, WARN, print_line
from etl.cli.settings import CommandSettings
from etl.errors import ConfigError

_QUESTIONS = {
    "base_url": ("Address of the gateway", "http://localhost:8080"),
    "provider": ("Provider whose videos it lists", "openai"),
    "api_key_env": ("Environment variable that holds the key", "BIFROST_API_KEY"),
    "database": ("Database", "sqlite:///bifrost-etl.db"),
}

_NOTHING_WRITTEN = "nothing was written; correct the answer"

#: The short configuration; `--full` copies config.example.yaml.
_TEMPLATE = """\
# bifrost-etl, written by `bifrost-etl init`. Every other setting: `bifrost-etl init --full --path all.yaml`.
# Secrets stay out of this file: ${{NAME}} reads an environment variable (or the file that NAME_FILE names).

database:
  url: ${{{database_env}:-sqlite:///bifrost-etl.db}}   # or postgresql://user@host/name, mysql://user@host/name

sources:
  - name: {name}
    base_url: {base_url}
    provider: {provider}   # null for a plain OpenAI endpoint
    api_key: ${{{api_key_env}}}
    # key_name: main        # pins one of several keys behind the provider; one source for each
    schedule:
      every: 5m
      # min_interval: 30s   # faster while jobs are open
      reconcile:
        cron: "0 4 * * 0"   # full scan, Sundays at four (UTC): finds jobs that vanished
"""


def command(
    ctx: typer.Context,
    base_url: Annotated[str | None, typer.Option(metavar="URL", help="Address of the gateway.")] = None,
    provider: Annotated[
        str | None, typer.Option(metavar="NAME", help="Provider whose videos the gateway lists.")
    ] = None,
    api_key_env: Annotated[
        str | None, typer.Option(metavar="NAME", help="Environment variable that holds the key.")
    ] = None,
    database: Annotated[str | None, typer.Option(metavar="URL", help="Database to fill.")] = None,
    path: Annotated[Path, typer.Option(metavar="FILE", help="File to write.")] = Path("bifrost-etl.yaml"),
    full: Annotated[
        bool, typer.Option("--full", help="Write every setting with its default instead; asks nothing.")
    ] = False,
    force: Annotated[bool, typer.Option("--force", help="Replace a file that exists.")] = False,
) -> None:
    """Write a commented configuration file.

    Asks for what is not given, on a terminal; elsewhere takes the defaults. The key itself is never
    written: the file refers to an environment variable.
    """
    if path.exists() and not force:
        raise ConfigError(f"{path} exists already", hint="edit it, name another with --path, or give --force")
    given = {"base_url": base_url, "provider": provider, "api_key_env": api_key_env, "database": database}
    environ = ctx.ensure_object(CommandSettings).environ
    if full:
        text = _example_file()
    else:
        text = _short_file({name: _ask_answer(name, value, environ) for name, value in given.items()})
        _validate_file(text, path, environ)
    _write_file(path, text, replace=force)
    print_line(f"✓ wrote {path}", GOOD)
    if not full:
        variable = re.findall(r"api_key: \$\{(\w+)\}", text)[0]
        is_set = {variable, f"{variable}_FILE"} & environ.keys()
        first = "" if is_set else f"export {variable}=…, then "
        print_line(f"  next: {first}bifrost-etl check and bifrost-etl sync", DIM)


def _ask_answer(name: str, given: str | None, environ: Mapping[str, str]) -> str:
    """What was given, or what somebody types; an answer that cannot be used is asked for again."""
    question, default = _QUESTIONS[name]
    if given is not None or not sys.stdin.isatty():
        return given if given is not None else default
    while True:
        answer = ask_text(question, default)
        if (problem := _problem_of(name, answer, environ)) is None:
            return answer
        print_line(f"  {problem}", WARN, stream=sys.stderr)


def _problem_of(name: str, answer: str, environ: Mapping[str, str]) -> str | None:
    """Why the file cannot hold this answer, beside the other questions' defaults."""
    answers = {each: default for each, (_question, default) in _QUESTIONS.items()}
    try:
        _validate_file(_short_file({**answers, name: answer}), Path("answer.yaml"), environ)
    except ConfigError as exc:
        hint = "" if exc.hint == _NOTHING_WRITTEN else f"; {exc.hint}"
        return re.sub(r"^\S+:\d+: \S+: ", "", str(exc)) + hint
    return None


def _example_file() -> str:
    from etl.config import example_text

    return example_text()


def _short_file(answers: Mapping[str, str]) -> str:
    """The file's text. Raises ConfigError for a secret where only its name belongs."""
    variable, database = answers["api_key_env"], answers["database"]
    if not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", variable):
        raise ConfigError(
            "--api-key-env takes the name of an environment variable, not a key",
            hint="for example --api-key-env BIFROST_API_KEY; the key goes into that variable",
        )
    if re.search(r"://[^/@]*:[^/@]+@", database.replace("${", "").replace("}", "")):
        raise ConfigError(
            "the database URL holds a password, which does not belong in the file",
            hint="leave the password out, and keep the whole URL in DATABASE_URL",
        )
    text = render_init(base_url=answers["base_url"], provider=answers["provider"], api_key_env=variable)
    return _with_database(text, database)


def _with_database(text: str, url: str) -> str:
    """The same text with `url` as what is used when DATABASE_URL is not set."""
    if "}" in url or not url.isprintable():
        raise ConfigError("the database URL cannot be written into the file", hint="keep it in DATABASE_URL")
    before, after = text.split(_QUESTIONS["database"][1], 1)
    return before + url + after


def _validate_file(text: str, path: Path, environ: Mapping[str, str]) -> None:
    """Nothing is written that `sync` would refuse; a variable that is not set yet is no fault of the file."""
    import tempfile

    from etl.config import load_config

    names = dict.fromkeys(re.findall(r"\$\{(\w+)\}", text), "placeholder")
    with tempfile.TemporaryDirectory() as folder:
        trial = Path(folder, path.name)
        trial.write_text(text, encoding="utf-8")
        try:
            load_config(trial, {**names, **environ})
        except ConfigError as exc:
            message = str(exc).replace(str(trial), str(path))
            raise ConfigError(message, hint=_NOTHING_WRITTEN) from None


def _write_file(path: Path, text: str, *, replace: bool) -> None:
    """For the owner's eyes only, and never over a file that appeared meanwhile."""
    flags = os.O_WRONLY | os.O_CREAT | (os.O_TRUNC if replace else os.O_EXCL)
    try:
        with os.fdopen(os.open(path, flags, 0o600), "w", encoding="utf-8") as file:
            file.write(text)
        path.chmod(0o600)
    except FileExistsError:
        raise ConfigError(f"{path} exists already", hint="give --force to replace it") from None
    except OSError as exc:
        raise ConfigError(f"cannot write {path}: {exc.strerror}") from None


def render_init(
    *,
    base_url: str = "${BIFROST_BASE_URL:-http://localhost:8080}",
    provider: str | None = "openai",
    name: str | None = None,
    api_key_env: str = "BIFROST_API_KEY",
    database_env: str = "DATABASE_URL",
) -> str:
    """YAML text that `load_config` accepts once the variable named by `api_key_env` is set.

    It never holds a secret: the key is named by its variable. `name` is the provider when not given.
    """
    return _TEMPLATE.format(
        name=_quote_yaml(name or provider or "default"),
        base_url=_quote_yaml(base_url) if not base_url.startswith("${") else base_url,
        provider=_quote_yaml(provider) if provider else "null",
        api_key_env=api_key_env,
        database_env=database_env,
    )


def _quote_yaml(text: str) -> str:
    """The text as YAML; in quotes only when it is more than a word or an address."""
    plain = text.replace(".", "").replace("-", "").replace("_", "")
    if plain.isascii() and plain.isalpha() and plain.lower() not in ("true", "false", "null"):
        return text
    return json.dumps(text, ensure_ascii=False).replace("$", "$$")
