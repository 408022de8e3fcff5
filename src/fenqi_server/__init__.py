"""Fenqi's service: facts, quotes, contracts, books, announcements and pages around the engine in `fenqi`."""
