"""`/_sim/…`: how other processes move the simulated world. Never asks for a token."""

from etl.simulator.faults import parse
from etl.simulator.gateway import Gateway
from etl.simulator.wire import Request, Response, dump


def answer(gateway: Gateway, request: Request) -> Response:
    """GET stats; POST advance?seconds=N, fault?spec=…, clear."""
    try:
        return Response(200, dump(_obey(gateway, request)))
    except (ValueError, TypeError, KeyError) as exc:
        return Response(400, dump({"error": str(exc)}))


def _obey(gateway: Gateway, request: Request) -> dict[str, object]:
    command = request.path.removeprefix("/_sim/")
    if command == "stats":
        return stats(gateway)
    if request.method != "POST":
        raise ValueError("send this with POST")
    if command == "advance":
        gateway.world.advance(float(request.query["seconds"]))
    elif command == "fault":
        gateway.faults.add(parse(request.query["spec"]))
    elif command == "clear":
        gateway.faults.clear()
    else:
        raise ValueError(f"unknown command {command!r}")
    return stats(gateway)


def stats(gateway: Gateway) -> dict[str, object]:
    world = gateway.world
    return {
        "now": world.now(),
        "created": world.created_count(),
        "requests": gateway.served,
        "faults": [{"name": f.name, "hits": f.hits, "left": f.times} for f in gateway.faults.all],
    }
