"""A contract's papers at private addresses: its statement, and its due dates for a calendar."""
