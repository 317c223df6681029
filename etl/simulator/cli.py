"""`simulate`: a gateway to try things on, run until it is told to stop."""

import argparse
import asyncio
import re
import signal
import sys
import threading
import time
from collections.abc import Sequence
from pathlib import Path

from etl.simulator.clock import ScaledClock
from etl.simulator.credentials import Rotation
from etl.simulator.faults import NAMES, parse_fault
from etl.simulator.gateway import Gateway
from etl.simulator.profiles import PROFILES
from etl.simulator.replay import Replay
from etl.simulator.server import Server, close_server
from etl.simulator.settings import DEAD_CURSORS, on_or_off
from etl.simulator.versions import ALIASES, VERSIONS
from etl.simulator.world import World

VERSION_HELP = "which Bifrost; without one it behaves as the contract says (1 is 1.5, 2 is 2.1)"
UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0, "w": 604800.0}
_PART = r"([0-9]+(?:\.[0-9]+)?)(ms|[smhdw])"


def main(argv: Sequence[str] | None = None) -> int:
    """Serve until SIGTERM or SIGINT. Prints `listening on http://…` as its first line."""
    options = make_parser().parse_args(argv)
    try:
        gateway = Replay(options.replay) if options.replay else build_gateway(options)
    except (ValueError, OSError) as exc:
        make_parser().error(str(exc))
    try:
        asyncio.run(serve_until_signal(gateway, options))
    except OSError as exc:
        print(f"cannot listen on port {options.port}: {exc.strerror}", file=sys.stderr)
        return 1
    return 0


def make_parser() -> argparse.ArgumentParser:
    cli = argparse.ArgumentParser(
        prog="bifrost-etl simulate",
        description="A simulated Bifrost gateway on 127.0.0.1, for trying and testing.",
        epilog="Faults: " + ", ".join(NAMES),
    )
    add = cli.add_argument
    add("--port", type=int, default=0, help="0: any free port (default)")
    add(
        "--replay",
        type=Path,
        metavar="FILE",
        help="serve what `bifrost-etl record` has saved, and nothing else",
    )
    add("--jobs", type=int, default=1000, help="how many jobs exist at the start (%(default)s)")
    add("--seed", type=int, default=1, help="the same seed gives the same world (%(default)s)")
    add("--start", type=float, help="unix time at which the world starts (now)")
    add("--time-scale", type=float, default=1.0, help="simulated seconds per real second (%(default)s)")
    add("--rate", type=float, default=60.0, help="new jobs per simulated hour (%(default)s)")
    add("--gap", type=parse_duration, default=10.0, help="mean time between the jobs made earlier (10s)")
    add("--retention", type=parse_duration, help="age after which the list forgets a job, e.g. 24h (never)")
    add("--deletions", type=float, default=0.0, help="fraction of jobs that users delete (%(default)s)")
    add("--failures", type=float, default=0.07, help="fraction of jobs that fail (%(default)s)")
    add("--stuck", type=float, default=0.0, help="fraction of jobs that stay open for days (%(default)s)")
    add("--accounts", type=int, default=1, help="keys behind the provider: key-1, key-2, … (%(default)s)")
    add("--provider", default="openai", help="%(default)s")
    add("--profile", "--shape", dest="shape", choices=[*PROFILES], default="bifrost", help="whose answers")
    add("--gateway-version", "--version", dest="version", choices=[*VERSIONS, *ALIASES], help=VERSION_HELP)
    add("--strict", type=on_or_off, help="decode as strictly as Bifrost does (on with a version)")
    add("--also", action="append", default=[], metavar="PROVIDER:JOBS", help="one more provider behind it")
    add("--cap", type=int, help="no page holds more jobs, whatever was asked")
    add("--window", type=parse_duration, help="how far back the list reaches; by id older jobs can be read")
    add("--sort", choices=("created", "id"), default="created", help="how jobs of one second stand")
    add("--token", help="the Bearer token to ask for (none)")
    add("--virtual-key", action="append", default=[], metavar="sk-bf-…", help="accept this virtual key")
    add("--dashboard-auth", metavar="USER:PASSWORD", help="ask for Basic credentials")
    add("--enforced", action="store_true", help="the dashboard's authentication covers lists too (2.0)")
    add("--rotate-keys", metavar="EVERY[:GRACE]", help="a virtual key that changes; GET /_sim/key tells it")
    add("--allow-raw", action="store_true", help="requests may ask for the provider's raw answer")
    add("--no-passthrough", action="store_true", help="there is no /openai_passthrough/")
    add("--no-log-content", action="store_true", help="the log keeps no prompts, parameters and outputs")
    add("--log-delay", type=parse_duration, default=2.0, help="how late a row of the log is written (2s)")
    add("--no-log-polls", action="store_true", help="who made a job never reads it by id")
    add("--log-retention", type=parse_duration, default=365 * 86400.0, help="the age of a row's end (365d)")
    add("--no-logs", action="store_true", help="the gateway keeps no log")
    add("--log-settles-as", default="", metavar="OBJECT", help="what a settler's row is called (2.1)")
    add("--latency", type=parse_duration, default=0.0, help="added to every answer, e.g. 20ms (0)")
    add("--dead-cursor", default="404", choices=DEAD_CURSORS, help="%(default)s")
    add("--fault", action="append", default=[], metavar="NAME[:KEY=VALUE,…]", help="may be repeated")
    add("--cache", type=int, default=300_000, help="rendered jobs kept in memory (%(default)s)")
    add("--warm", action="store_true", help="render the whole list before listening")
    add("--ready-file", type=Path, help="written with the address once listening")
    add("--until-stdin-closes", action="store_true", help="stop when standard input ends")
    return cli


def parse_duration(text: str) -> float:
    """Seconds of `20ms`, `1.5s`, `1h30m`, `7d`, `2w` or a number of seconds: as everywhere in the product."""
    low = text.strip().lower()
    if not re.fullmatch(rf"(?:{_PART} ?)+|[0-9]+(\.[0-9]+)?", low):
        raise argparse.ArgumentTypeError(f"{text!r} is no duration; write 20ms, 1.5s, 1h30m, 7d or 2w")
    parts = re.findall(_PART, low)
    return sum(float(number) * UNITS[unit] for number, unit in parts) if parts else float(low)


def build_gateway(options: argparse.Namespace) -> Gateway:
    """Raises ValueError for a fault, a provider or a rotation that cannot be read."""
    start = time.time() if options.start is None else options.start
    world = _make_world(options, start, options.provider, options.jobs, options.seed)
    others = [
        _make_world(options, start, provider, int(jobs), options.seed + 1 + place)
        for place, (provider, _, jobs) in enumerate(spec.partition(":") for spec in options.also)
    ]
    user, _, password = (options.dashboard_auth or "").partition(":")
    gateway = Gateway(
        world,
        others=others,
        token=options.token,
        virtual_keys=dict.fromkeys(options.virtual_key, "active"),
        dashboard=(user, password) if options.dashboard_auth else None,
        enforced=options.enforced,
        rotation=_parse_rotation(options.rotate_keys, start),
        dead_cursor=options.dead_cursor,
        allow_raw=options.allow_raw,
        passthrough=not options.no_passthrough,
        log_content=not options.no_log_content,
        log_delay=options.log_delay,
        log_polls=not options.no_log_polls,
        log_retention=options.log_retention,
        logs=not options.no_logs,
        log_settles_as=options.log_settles_as,
        latency=options.latency,
        seed=options.seed,
    )
    for spec in options.fault:
        gateway.faults.add(parse_fault(spec))
    if options.warm:
        world.warm()
    return gateway


def _make_world(options: argparse.Namespace, start: float, provider: str, jobs: int, seed: int) -> World:
    return World(
        seed,
        jobs,
        start,
        rate=options.rate,
        gap=options.gap,
        provider=provider,
        shape=options.shape,
        retention=options.retention,
        deletions=options.deletions,
        failures=options.failures,
        stuck=options.stuck,
        accounts=options.accounts,
        clock=ScaledClock(start, options.time_scale),
        cache=options.cache,
        version=options.version,
        strict=options.strict,
        cap=options.cap,
        window=options.window,
        sort=options.sort,
    )


def _parse_rotation(text: str | None, start: float) -> Rotation | None:
    if not text:
        return None
    every, _, grace = text.partition(":")
    try:
        return Rotation(start, parse_duration(every), parse_duration(grace or "0"))
    except argparse.ArgumentTypeError as exc:
        raise ValueError(str(exc)) from None


async def serve_until_signal(gateway: Gateway | Replay, options: argparse.Namespace) -> None:
    loop, done = asyncio.get_running_loop(), asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, done.set)
    if options.until_stdin_closes:
        threading.Thread(target=_watch_stdin, args=(loop, done), daemon=True).start()
    server = Server(gateway)
    listener, port = await server.listen(options.port)
    address = f"http://127.0.0.1:{port}"
    print(f"listening on {address}", flush=True)
    if options.ready_file:
        _write_whole(options.ready_file, address + "\n")
    await done.wait()
    await close_server(listener, server)


def _watch_stdin(loop: asyncio.AbstractEventLoop, done: asyncio.Event) -> None:
    # The raw descriptor: a thread inside a buffered read would hold up the interpreter's exit.
    with open(0, "rb", buffering=0, closefd=False) as stdin:
        while stdin.read(1024):
            pass
    loop.call_soon_threadsafe(done.set)


def _write_whole(path: Path, text: str) -> None:
    """A reader that polls for the file never sees half of it."""
    part = path.with_name(path.name + ".part")
    part.write_text(text)
    part.replace(path)
