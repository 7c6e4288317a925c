"""Models, their forecasts and how these turned out."""
