"""What is measured of assets: when it is due, its figures, and where they are kept."""
