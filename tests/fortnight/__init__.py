"""Fourteen days of a company and its troubles, in virtual time: the history that dashboards are tested and drawn with.

What runs is what the daemon runs: two copies of it, each with the daemon's own `Watch`, over a real Postgres and the simulated Flinks.
Only what virtual time cannot carry is replaced: sockets, the lease's renewals, and the time that a statement takes, which is drawn.
Equal seeds tell equal stories. `python -m tests.fortnight DIRECTORY` plays it and leaves the history there.
"""
