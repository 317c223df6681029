"""`bifrost-etl simulate`: the simulated gateway, with its own options."""

from __future__ import annotations

import typer

command = typer.Typer(add_completion=False, rich_markup_mode=None)


@command.command(
    add_help_option=False, context_settings={"ignore_unknown_options": True, "allow_extra_args": True}
)
def simulate(ctx: typer.Context) -> None:
    """Run a simulated gateway until it is told to stop. Its options: bifrost-etl simulate --help."""
    from etl.simulator.cli import main

    raise typer.Exit(main(ctx.args))
