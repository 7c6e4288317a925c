"""The numba kernels, each in a file that calls no other."""
