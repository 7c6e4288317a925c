"""How the loss of the worst days is estimated, one method a file."""
