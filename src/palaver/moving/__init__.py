"""Bringing what was said elsewhere here, and taking what was said here elsewhere, a little of it at a time."""
