"""What to say of a name that nobody knows: the same everywhere, with what was probably meant."""

from __future__ import annotations

from collections.abc import Iterable

from etl.errors import ConfigError

#: So many names are listed; more would hide the ones that matter.
_LISTED = 20


def unknown_name(kind: str, name: str, known: Iterable[str]) -> ConfigError:
    """The error for `name`, which is no `kind` (source, model, report): what is near it, or what there is."""
    import difflib  # only needed when something is wrong

    names = list(known)
    near = difflib.get_close_matches(name, names, n=1, cutoff=0.6)
    if near:
        return ConfigError(f"there is no {kind} {name!r}", hint=f"did you mean {near[0]}?")
    more = f" and {len(names) - _LISTED} more" if len(names) > _LISTED else ""
    return ConfigError(
        f"there is no {kind} {name!r}", hint=f"{kind}s: {', '.join(names[:_LISTED]) or 'none yet'}{more}"
    )
