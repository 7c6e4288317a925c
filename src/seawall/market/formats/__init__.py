"""The file formats that prices come in, one a file."""
