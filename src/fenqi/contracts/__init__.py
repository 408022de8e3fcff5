"""What is owed: a contract is its terms and its dated events, and everything else follows from them."""
