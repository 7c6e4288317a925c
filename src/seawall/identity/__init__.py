"""Who is using Seawall."""
