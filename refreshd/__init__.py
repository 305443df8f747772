"""refreshd: no billed login is ever forgotten, no stale login goes unseen, and the daemon can never run away."""

__version__ = "0.1.0"
