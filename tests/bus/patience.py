"""A Redis that may take its while."""

import pytest

from palaver.bus import patience, redis_counts, subscriber

PATIENT_SECONDS = 30.0


def be_patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Redis may take as long to answer as a busy machine makes it: what holds while it is too slow is not promised
    here."""
    monkeypatch.setattr(patience, "PATIENCE", PATIENT_SECONDS)
    monkeypatch.setattr(subscriber, "BEAT_SECONDS", PATIENT_SECONDS)
    monkeypatch.setattr(redis_counts, "ANSWER_SECONDS", PATIENT_SECONDS)
