"""What differs between the versions of Bifrost, measured on 1.4.19, 1.5.1 and 2.0; 2.1 as its source says."""

from typing import NamedTuple


class Version(NamedTuple):
    major: int
    minor: int

    def __str__(self) -> str:
        return f"{self.major}.{self.minor}"

    @property
    def names_accounts(self) -> bool:
        """Every answer says which key it was asked with."""
        return self >= (2, 0)

    @property
    def blocks_spent_lists(self) -> bool:
        """A spent budget or request limit refuses lists and reads too, not only new jobs."""
        return self < (2, 0)

    @property
    def raw_needs_permission(self) -> bool:
        """`x-bf-send-back-raw-response` is obeyed only where the configuration allows it."""
        return self >= (1, 5)

    @property
    def passthrough_type(self) -> str:
        return "application/json" if self >= (2, 0) else "text/plain; charset=utf-8"

    @property
    def classifies_errors(self) -> bool:
        return self >= (2, 1)


VERSIONS = ("1.4", "1.5", "2.0", "2.1")
ALIASES = {"1": "1.5", "2": "2.1"}
CONTRACT = Version(1, 4)


def parse_version(text: str) -> Version:
    """Raises ValueError for a version that cannot be simulated."""
    name = ALIASES.get(text, text)
    if name not in VERSIONS:
        known = ", ".join((*VERSIONS, *ALIASES))
        raise ValueError(f"unknown gateway version {text!r}; known are: {known}")
    major, minor = name.split(".")
    return Version(int(major), int(minor))
