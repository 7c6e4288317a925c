"""Being paid through Stripe: what it tells, what follows from it, and what it is asked."""
