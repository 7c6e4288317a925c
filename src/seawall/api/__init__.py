"""The API: what programs and browsers are answered over HTTP."""
