"""What the global options chose, and the configuration they lead to. One per command line, as `ctx.obj`."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from etl.errors import ConfigError

if TYPE_CHECKING:
    from etl.config import Config

LOG_LEVELS = ("debug", "info", "warning", "error")

ConfigFile = Annotated[
    Path | None,
    typer.Option(
        "--config", metavar="FILE", help="Configuration file. Also BIFROST_ETL_CONFIG.", show_default=False
    ),
]
Json = Annotated[bool, typer.Option("--json", help="One JSON document on standard output.")]


_SECRET_NAME = re.compile(r"KEY|TOKEN|SECRET|PASSWORD|CREDENTIAL", re.I)
_URL_PASSWORD = re.compile(r"//[^/@]*?:([^/]+)@")


@dataclass(slots=True)
class CommandSettings:
    """Options given so far, and every secret known so far: the environment's, then the configuration's."""

    environ: Mapping[str, str] = field(default_factory=dict)
    config_file: Path | None = None
    log_level: str | None = None
    secrets: tuple[str, ...] = ()

    def choose(self, config: Path | None, log_level: str | None = None) -> None:
        """Take over options; what was not given stays as it was."""
        if log_level is not None and log_level not in LOG_LEVELS:
            raise ConfigError(f"no log level {log_level!r}", hint=f"one of: {', '.join(LOG_LEVELS)}")
        self.config_file = config or self.config_file
        self.log_level = log_level or self.log_level

    def load(self, config: Path | None = None) -> Config:
        """The configuration. `config` is a command's own --config."""
        from etl.config import load_config

        self.choose(config)
        loaded = load_config(self.config_file, self.environ)
        self.secrets = tuple(loaded.secrets())
        return loaded

    def start_logging(self, config: Config, level: str = "error") -> None:
        """Logs to stderr: as --log-level says, else from `level` on (what a person sees, commands print)."""
        from etl.log import Redactor, get_logger, is_shown, set_up_logging

        set_up_logging(self.log_level or level, config.service.log_format, Redactor(self.known_secrets()))
        if not is_shown("warning"):
            return
        for source in config.sources:
            for setting in source.plain_secrets():
                get_logger("config").warning("plain_secret", source=source.name, setting=setting)

    def redact(self, text: str) -> str:
        """`text` without any secret that this process could know."""
        from etl.log import Redactor

        return Redactor(self.known_secrets())(text)

    def known_secrets(self) -> list[str]:
        """Every secret that this process could know.

        An error may come before the configuration is read: its secrets are in the environment then."""
        named = [value for name, value in self.environ.items() if _SECRET_NAME.search(name)]
        in_urls = [found for value in self.environ.values() for found in _URL_PASSWORD.findall(value)]
        return [value for value in {*named, *in_urls, *self.secrets} if len(value) >= 4]
