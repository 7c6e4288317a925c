"""Looking through portfolios page by page, as programs ask for them."""
