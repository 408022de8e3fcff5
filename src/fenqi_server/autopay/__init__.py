"""Automatic payment: what customers allowed, what was asked for by it, and what became of each attempt."""
