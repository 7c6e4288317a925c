"""Trading: accounts, orders, fills and positions."""
