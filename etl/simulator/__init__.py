"""A gateway simulator over real HTTP on loopback.

Imports nothing of the rest, so that it cannot share the client's mistakes.
"""

from etl.simulator.clock import ManualClock, ScaledClock
from etl.simulator.server import Simulator
from etl.simulator.world import World

__all__ = ["ManualClock", "ScaledClock", "Simulator", "World"]
