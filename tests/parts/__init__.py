"""The real parts that tests run against: PostgreSQL, Redis, Chromium, the stand-in LLM server, and Palaver itself.

Each is started by the test run, keeps its data in the run's temporary folder, and ends with the run, however that ends.
A part that is missing is an error with a sentence that says how to get it; nothing is ever skipped.
"""


class PartMissing(Exception):
    """A part is not installed on this machine."""


class PartFailed(Exception):
    """A part would not start, would not end, or did not do what it was told; its output is in the message."""
