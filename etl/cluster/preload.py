"""Loaded by each worker process that we start: Ctrl-C is for the command, which tells its workers."""

import signal

signal.signal(signal.SIGINT, signal.SIG_IGN)
