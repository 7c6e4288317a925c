"""Parts of migrations that are too long for one file; each is of the one that its name tells."""
