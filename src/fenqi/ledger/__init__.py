"""What is booked: a closed chart of accounts, and the balanced entries that contracts' movements come to."""
