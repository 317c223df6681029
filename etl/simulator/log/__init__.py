"""The gateway's own log: what it keeps, and how it is searched."""
