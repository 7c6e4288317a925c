"""What a portfolio would lose: in events that happened, and in ones that somebody makes up."""
