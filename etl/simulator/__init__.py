"""A gateway simulator: over real HTTP on loopback (Simulator), or as a function in memory (Gateway.handle).

Imports nothing of the rest, so that it cannot share the client's mistakes.
"""

from etl.simulator.clock import ManualClock, ScaledClock
from etl.simulator.credentials import Rotation
from etl.simulator.gateway import Gateway
from etl.simulator.replay import Replay
from etl.simulator.server import Serving, Simulator
from etl.simulator.wire import Request, Response
from etl.simulator.world import World

__all__ = [
    "Gateway",
    "ManualClock",
    "Replay",
    "Request",
    "Response",
    "Rotation",
    "ScaledClock",
    "Serving",
    "Simulator",
    "World",
]
