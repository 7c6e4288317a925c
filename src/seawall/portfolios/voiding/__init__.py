"""Mending what was recorded wrongly: transactions are voided or replaced, and never vanish."""
