"""What is held: transactions, lots, holdings and their value."""
