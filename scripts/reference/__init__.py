"""The pages of docs/reference, written from the code.

A page holds nothing that differs between machines or days: no dates, no paths, no versions.
"""
