"""What can be said about a portfolio, resting on checked facts."""
