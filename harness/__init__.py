"""Proof by violence: `python -m harness.crash` and `python -m harness.soak`. See docs/reliability.md."""
