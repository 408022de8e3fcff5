"""Whether a way to pay may be offered: facts, conditions, the policy as a value, and the verdict with its reasons."""
