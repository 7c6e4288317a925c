"""What several parts of the API answer with: written by `make docs`."""

TransactionType = str
