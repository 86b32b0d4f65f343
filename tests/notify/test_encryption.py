"""The example of RFC 8291 (appendix A, with the values of its section 5), and what follows for all messages."""

import base64

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from hypothesis import given
from hypothesis import strategies as st

from palaver.notify.encryption import MOST_PLAIN, encrypt
from palaver.notify.keys import decode_base64url, decode_vapid_key, encode_base64url, new_vapid_key
from tests.parts.push import Browser

PLAIN = b"When I grow up, I want to be a watermelon"
P256DH = "BCVxsr7N_eNgVRqvHtD0zTZsEc6-VV-JvLexhqUzORcxaOzi6-AYWXvTBHm4bjyPjs7Vd8pZGH6SRpkNtoIAiw4"
AUTH = "BTBZMqHH6r4Tts7J_aSIgg"
SALT = "DGv6ra1nlYgDCS1FRnbzlw"
SENDER = "yfWPiYE-n46HLnH0KqZOF1fJJU3MYrct3AELtAQ-oRw"
MESSAGE = (
    "DGv6ra1nlYgDCS1FRnbzlwAAEABBBP4z9KsN6nGRTbVYI_c7VJSPQTBtkgcy27mlmlMoZIIgDll6e3vCYLocInmYWAmS6TlzAC8wEqKK6PBru3jl"
    "7A_yl95bQpu6cVPTpK4Mqgkf1CXztLVBSt2Ks3oZwbuwXPXLWyouBWLVWGNWQexSgSxsj_Qulcy4a-fN"
)


def test_example_of_the_standard_gives_the_message_of_the_standard() -> None:
    key = ec.derive_private_key(int.from_bytes(decode_base64url(SENDER)), ec.SECP256R1())
    message = encrypt(PLAIN, P256DH, AUTH, salt=decode_base64url(SALT), key=key, padded=False)
    assert encode_base64url(message) == MESSAGE


@pytest.mark.proof("out")
@given(st.binary(max_size=MOST_PLAIN).filter(lambda plain: not plain.endswith(b"\0")))
def test_browser_reads_what_was_sent(plain: bytes) -> None:
    browser = Browser("")
    assert browser.read(encrypt(plain, browser.p256dh, browser.auth)) == plain


def test_length_of_a_message_tells_little_and_is_never_more_than_a_push_may_have() -> None:
    browser = Browser("")
    sizes = {len(encrypt(b"x" * size, browser.p256dh, browser.auth)) for size in range(0, MOST_PLAIN + 1, 7)}
    sizes.add(len(encrypt(b"x" * MOST_PLAIN, browser.p256dh, browser.auth)))
    assert sizes == {1024 + 103, 2048 + 103, 4096}


def test_no_two_messages_have_a_key_or_salt_in_common() -> None:
    browser = Browser("")
    one, other = (encrypt(b"the same", browser.p256dh, browser.auth) for _ in range(2))
    assert one[:16] != other[:16]
    assert one[21:86] != other[21:86]


@pytest.mark.parametrize(
    ("p256dh", "auth"),
    [
        ("", ""),
        (P256DH, ""),
        (P256DH, AUTH + "AA"),
        (P256DH[:-4], AUTH),
        (encode_base64url(b"\x04" + bytes(64)), AUTH),
        (encode_base64url(b"\x04" + b"\x01" * 64), AUTH),
        (encode_base64url(b"\x02" + decode_base64url(P256DH)[1:33]), AUTH),
        ("é" * 87, AUTH),
        ("!" * 88, AUTH),
    ],
)
def test_keys_that_no_browser_makes_are_refused(p256dh: str, auth: str) -> None:
    with pytest.raises(ValueError):  # noqa: PT011
        encrypt(b"x", p256dh, auth)


def test_keys_are_taken_in_both_alphabets_with_padding_or_without() -> None:
    browser = Browser("")
    padded = base64.b64encode(decode_base64url(browser.p256dh)).decode()
    assert browser.read(encrypt(b"x", padded, browser.auth + "==")) == b"x"


def test_every_start_would_make_another_key_that_can_be_used() -> None:
    keys = {new_vapid_key() for _ in range(50)}
    assert len(keys) == 50
    for key in keys:
        assert len(decode_base64url(key)) == 32
        assert ec.derive_private_key(decode_vapid_key(key), ec.SECP256R1())
