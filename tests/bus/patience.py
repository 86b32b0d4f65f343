"""A Redis that may take its while."""

import pytest

from palaver.bus import patience, redis_counts, subscriber

PATIENT_SECONDS = 30.0

_USUAL = tuple(
    (module, name, getattr(module, name))
    for module, name in ((patience, "PATIENCE"), (subscriber, "BEAT_SECONDS"), (redis_counts, "ANSWER_SECONDS"))
)


def be_patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Redis may take as long to answer as a busy machine makes it: what holds while it is too slow is not promised
    here."""
    for module, name, _ in _USUAL:
        monkeypatch.setattr(module, name, PATIENT_SECONDS)


def be_as_usual(monkeypatch: pytest.MonkeyPatch) -> None:
    """It may take no longer than at work."""
    for module, name, seconds in _USUAL:
        monkeypatch.setattr(module, name, seconds)
