"""What a way to pay costs: plans, dated schedules, annual cost, and the table that discloses it."""
