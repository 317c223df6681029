"""Starts a command and writes what it used as JSON to a file descriptor: `launch.py FD COMMAND…`.

A process inherits its parent's memory until it becomes its own program, and the kernel counts that into its
peak. This one is small, so that the peak measured is the command's. Run it with `python -I -S`.
"""

import os
import sys
import time

report = int(sys.argv[1])
os.set_inheritable(report, False)
began = time.perf_counter()
child = os.spawnv(os.P_NOWAIT, sys.argv[2], sys.argv[2:])
_, status, usage = os.wait4(child, 0)
took = time.perf_counter() - began
facts = {
    "seconds": took,
    "user": usage.ru_utime,
    "system": usage.ru_stime,
    "peak_mb": usage.ru_maxrss * 1024 / 1e6,
    "code": os.waitstatus_to_exitcode(status),
}
os.write(report, repr(facts).replace("'", '"').encode())  # importing json would double this program
