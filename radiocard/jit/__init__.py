"""Loops over arrays as machine code."""
