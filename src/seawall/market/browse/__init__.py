"""Reading the catalogue and the series page by page, for those who look around in them."""
