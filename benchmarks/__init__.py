"""Measurements: `python -m benchmarks` prints one JSON object a line, quickest first."""
