"""The short configuration that `bifrost-etl init` writes."""

from __future__ import annotations

import json

_TEMPLATE = """\
# bifrost-etl, written by `bifrost-etl init`. Every other setting: see config.example.yaml.
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
        name=_quoted(name or provider or "default"),
        base_url=_quoted(base_url) if not base_url.startswith("${") else base_url,
        provider=_quoted(provider) if provider else "null",
        api_key_env=api_key_env,
        database_env=database_env,
    )


def _quoted(text: str) -> str:
    """The text as YAML; in quotes only when it is more than a word or an address."""
    plain = text.replace(".", "").replace("-", "").replace("_", "")
    if plain.isascii() and plain.isalpha() and plain.lower() not in ("true", "false", "null"):
        return text
    return json.dumps(text, ensure_ascii=False).replace("$", "$$")
