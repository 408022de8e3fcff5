"""What a customer does with what they agreed to: see it, pay it, end it, change it, and take it with them."""
