"""Exactly the n-th call fails, once, for every n: of HTTP and of the database."""
