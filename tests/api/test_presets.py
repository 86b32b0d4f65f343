"""What becomes of presets that are alike, and of changes that change nothing."""

from palaver.chat.preset import SLUG_LENGTH, to_numbered, to_slug


def test_name_ids_stay_within_their_length_whatever_number_follows() -> None:
    slug = to_slug("x" * 150)
    assert len(slug) == SLUG_LENGTH
    assert to_numbered(slug, 2) == "x" * 98 + "-2"
    assert to_numbered(slug, 12_345) == "x" * 94 + "-12345"
    assert to_numbered("pirate", 2) == "pirate-2"
