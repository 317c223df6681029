"""`/_sim/…`: how other processes move and change the simulated world. Never asks for a token.

GET  stats          the clock, jobs ever created, requests answered, faults in force
GET  key            {"key": …}: the virtual key of the moment, where keys rotate; as=text: the key alone
POST advance        seconds=N
POST fault          spec=NAME[:KEY=VALUE,…]
POST clear          every fault, or those called name=…
POST set            NAME=VALUE: settings.READERS; version, strict, cap (of every provider); token, enforced
POST virtual_key    value=sk-bf-…, state=active or an error's name; without a state it is forgotten
POST add            job={JSON}, account=N: answers {"id": …}; provider=… where there are several
POST update         id=…, changes={JSON}: fields from now on
POST delete         id=…
"""

import json
from collections.abc import Callable
from typing import Any

from etl.simulator.faults import parse_fault
from etl.simulator.gateway import Gateway
from etl.simulator.settings import READERS, on_or_off
from etl.simulator.versions import parse_version
from etl.simulator.wire import Request, Response, dump_json
from etl.simulator.world import World


def answer_control(gateway: Gateway, request: Request) -> Response:
    """400 with an `error` for what cannot be done."""
    try:
        found = _obey_command(gateway, request)
        if request.query.get("as") == "text" and "key" in found:
            return Response(200, str(found["key"]).encode(), "text/plain")
        return Response(200, dump_json(found))
    except (ValueError, TypeError, KeyError) as exc:
        return Response(400, dump_json({"error": str(exc)}))


def _obey_command(gateway: Gateway, request: Request) -> dict[str, object]:
    command = request.path.removeprefix("/_sim/")
    if command == "stats":
        return gateway_stats(gateway)
    if command == "key":
        return {"key": gateway.credentials.current_key(gateway.world.now())}
    if request.method != "POST":
        raise ValueError("send this with POST")
    if command not in COMMANDS:
        raise ValueError(f"unknown command {command!r}; known are: {', '.join(COMMANDS)}")
    return COMMANDS[command](gateway, request.query) or gateway_stats(gateway)


def gateway_stats(gateway: Gateway) -> dict[str, object]:
    world = gateway.world
    return {
        "now": world.now(),
        "created": world.created_count(),
        "requests": gateway.served,
        "faults": [{"name": f.name, "hits": f.hits, "left": f.times} for f in gateway.faults.all],
    }


ControlQuery = dict[str, str]


def _advance_clock(gateway: Gateway, query: ControlQuery) -> None:
    gateway.world.advance(float(query["seconds"]))


def _add_fault(gateway: Gateway, query: ControlQuery) -> None:
    gateway.faults.add(parse_fault(query["spec"]))


def _clear_faults(gateway: Gateway, query: ControlQuery) -> None:
    gateway.faults.clear(query.get("name"))


def _set_setting(gateway: Gateway, query: ControlQuery) -> None:
    for name, text in query.items():
        if name in READERS:
            setattr(gateway.settings, name, READERS[name](text))
            gateway.settings.__post_init__()
        elif name in ("token", "enforced"):
            setattr(gateway.credentials, name, text or None if name == "token" else on_or_off(text))
        elif name in WORLD_READERS:
            _set_worlds(gateway, name, WORLD_READERS[name](text))
        else:
            raise ValueError(f"unknown setting {name!r}; known are: {', '.join(SETTINGS)}")
    gateway.log.book.forget()


def _set_worlds(gateway: Gateway, name: str, value: Any) -> None:
    for world in gateway.worlds:
        setattr(world, name, value)
        if name == "version":  # as in World: a version decodes strictly, unless told otherwise afterwards
            world.strict = True


def _change_virtual_key(gateway: Gateway, query: ControlQuery) -> None:
    gateway.credentials.virtual_keys.pop(query["value"], None)
    if state := query.get("state"):
        gateway.credentials.virtual_keys[query["value"]] = state


def _add_job(gateway: Gateway, query: ControlQuery) -> dict[str, object]:
    job = json.loads(query.get("job", "{}"))
    return {"id": _named_world(gateway, query).add(job, int(query.get("account", 0)))}


def _update_job(gateway: Gateway, query: ControlQuery) -> None:
    _named_world(gateway, query).update(query["id"], **json.loads(query["changes"]))


def _delete_job(gateway: Gateway, query: ControlQuery) -> None:
    _named_world(gateway, query).delete(query["id"])


def _named_world(gateway: Gateway, query: ControlQuery) -> World:
    wanted = query.get("provider") or query.get("id", "").rpartition(":")[2]
    return next((world for world in gateway.worlds if world.provider == wanted), gateway.world)


WORLD_READERS: dict[str, Callable[[str], Any]] = {
    "version": parse_version,
    "strict": on_or_off,
    "cap": lambda text: int(text) or None,
}
SETTINGS = (*READERS, *WORLD_READERS, "token", "enforced")
COMMANDS: dict[str, Callable[[Gateway, ControlQuery], dict[str, object] | None]] = {
    "advance": _advance_clock,
    "fault": _add_fault,
    "clear": _clear_faults,
    "set": _set_setting,
    "virtual_key": _change_virtual_key,
    "add": _add_job,
    "update": _update_job,
    "delete": _delete_job,
}
