"""Fenqi's engine: what paying over time costs, whether it may be offered, what is owed, what is booked.

Pure functions over frozen values: no framework, no database, no clock, no network, no randomness. Whatever
changes from call to call (the instant, an id, a secret) comes in as an argument.
"""

__version__ = "0.1.0"
