"""Seeds: made-up data in databases of their own, to look at and to measure with."""
