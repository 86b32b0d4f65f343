"""Palaver: a chat backend that people run themselves."""

__version__ = "0.1.0"
