"""A mail server that keeps what comes: in the clear, after STARTTLS, and with TLS from the start."""

import asyncio
from collections.abc import AsyncIterator
from typing import Literal

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from palaver.chat.errors import Invalid
from palaver.chat.ports import Later, MailTarget, Notice, Outcome, Refused, Sent
from palaver.notify.mail import Mail, to_message
from palaver.notify.options import MailOptions
from tests.chat.talking import HandClock
from tests.notify.certificates import Certificates
from tests.parts.mailbox import Mailbox, open_mailbox

ALICE = MailTarget("alice@example.org")
SENDER = "palaver@chat.example.org"


@pytest.fixture
async def box() -> AsyncIterator[Mailbox]:
    async with open_mailbox() as box:
        yield box


def options(box: Mailbox, **more: str) -> MailOptions:
    return MailOptions(
        host=box.host,
        port=box.port,
        security=box.security,
        sender=SENDER,
        user=more.get("user"),
        password=more.get("password"),
    )


async def test_person_gets_a_plain_letter(box: Mailbox, notice: Notice) -> None:
    mail = Mail(options(box))
    assert await mail.send(ALICE, notice) == Sent()
    letter = (await box.wait_for(1))[0]
    assert (letter.sender, letter.recipients) == (SENDER, ("alice@example.org",))
    message = letter.message
    assert message["Subject"] == "New message from Bea"
    assert message["From"] == f"Palaver <{SENDER}>"
    assert message["To"] == "alice@example.org"
    assert message["Message-ID"] == "<notice-1@chat.example.org>"
    assert message["Auto-Submitted"] == "auto-generated"
    assert message.get_content_type() == "text/plain"
    text = message.get_content()
    assert "Are you there?" in text
    assert notice.url in text
    assert "Unread messages: 3" in text


async def test_text_of_a_letter_is_no_command(box: Mailbox, notice: Notice) -> None:
    sly = msgspec.structs.replace(notice, body="Hello\r\n.\r\nMAIL FROM:<mallory@example.org>\r\n.")
    mail = Mail(options(box))
    assert await mail.send(ALICE, sly) == Sent()
    assert "MAIL FROM:<mallory@example.org>" in (await box.wait_for(1))[0].message.get_content()
    assert box.said == ["EHLO", "MAIL", "RCPT", "DATA", "QUIT"]


async def test_letter_is_in_the_language_of_whoever_reads_and_shows_no_text_where_none_is_wanted(
    box: Mailbox, notice: Notice
) -> None:
    quiet = msgspec.structs.replace(notice, body=None, language="de", conversation_kind="group", title="Küche & Söhne")
    mail = Mail(options(box))
    assert await mail.send(ALICE, quiet) == Sent()
    message = (await box.wait_for(1))[0].message
    assert message["Subject"] == "Neue Nachricht in Küche & Söhne"
    assert "Are you there?" not in message.get_content()
    assert "Zur Unterhaltung:" in message.get_content()


@pytest.mark.parametrize("security", ["starttls", "tls"])
async def test_letter_goes_by_tls_and_with_a_password(
    security: Literal["starttls", "tls"], notice: Notice, certificates: Certificates
) -> None:
    async with open_mailbox(security=security, tls=certificates.server("127.0.0.1")) as box:
        box.passwords["palaver"] = "right"
        mail = Mail(options(box, user="palaver", password="right"), tls=certificates.client())
        assert await mail.send(ALICE, notice) == Sent()
        letter = (await box.wait_for(1))[0]
        assert (letter.encrypted, letter.user) == (True, "palaver")
        mail = Mail(options(box, user="palaver", password="wrong"), tls=certificates.client())
        assert await mail.send(ALICE, notice) == Later(None, "answers 535")
        mail = Mail(options(box))
        assert await mail.send(ALICE, notice) == Later(None, "has no valid certificate")
        assert len(box.letters) == 1


async def test_nothing_is_said_in_the_clear_where_tls_is_wanted(box: Mailbox, notice: Notice) -> None:
    wanted = msgspec.structs.replace(options(box, user="palaver", password="secret"), security="starttls")
    mail = Mail(wanted)
    assert await mail.send(ALICE, notice) == Later(None, "offers no TLS or no sign-in, and one is set")
    assert not {"AUTH", "MAIL", "DATA"} & set(box.said)


@pytest.mark.parametrize(
    ("command", "answer", "expected"),
    [
        ("RCPT", "550 no such user", Refused("answers 550")),
        ("RCPT", "450 mailbox busy", Later(None, "answers 450")),
        ("MAIL", "550 not from you", Later(None, "answers 550")),
        ("MAIL", "421 going away", Later(None, "answers 421")),
        ("DATA", "451 not now", Later(None, "answers 451")),
        ("DATA", "554 looks like spam", Refused("answers 554")),
    ],
)
async def test_answer_of_the_mail_server_says_what_becomes_of_it(
    box: Mailbox, notice: Notice, command: str, answer: str, expected: Outcome
) -> None:
    box.refusals[command] = answer
    mail = Mail(options(box))
    assert await mail.send(ALICE, notice) == expected


async def test_server_that_is_away_or_silent_is_asked_again_later(
    notice: Notice, unused_tcp_port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    away = MailOptions(host="127.0.0.1", port=unused_tcp_port, sender=SENDER, security="none")
    mail = Mail(away)
    assert await mail.send(ALICE, notice) == Later(None, "cannot be reached")
    monkeypatch.setattr("palaver.notify.mail._STEP_SECONDS", 0.2)
    silent = await asyncio.start_server(_say_nothing, "127.0.0.1", 0)
    async with silent:
        port = silent.sockets[0].getsockname()[1]
        mail = Mail(msgspec.structs.replace(away, port=port))
        assert await mail.send(ALICE, notice) == Later(None, "was silent, or closed the connection")


async def _say_nothing(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.read()
    writer.close()


@pytest.mark.parametrize(
    "address",
    [
        "",
        "alice",
        "@example.org",
        "alice@",
        "alice@example.org\r\nBcc: everybody@example.org",
        "alice@example.org\nRCPT TO:<mallory@example.org>",
        "alice@example.org, mallory@example.org",
        "alice@example.org mallory@example.org",
        "<alice@example.org>",
        "Alice <alice@example.org>",
        '"alice bob"@example.org',
        "alice@[127.0.0.1]",
        "alice@exa mple.org",
        "alice@-example.org",
        "alice@example..org",
        ".alice@example.org",
        "alice@example.org>\x00",
        "älice@example.org",
        "a" * 65 + "@example.org",
        "alice@" + "a." * 130 + "org",
    ],
)
async def test_address_that_is_none_gets_no_letter(box: Mailbox, notice: Notice, address: str) -> None:
    mail = Mail(options(box))
    with pytest.raises(Invalid, match="address"):
        mail.check(MailTarget(address))
    assert await mail.send(MailTarget(address), notice) == Refused("is no address that mail can go to")
    assert box.said == []


HEAD = sorted(
    b"From To Subject Date Message-ID Auto-Submitted MIME-Version Content-Type Content-Transfer-Encoding".split()
)
NASTY = st.text(alphabet=st.sampled_from("\r\n\t\0\x0b\x0c\x85\u2028\u2029: <>@.aÄ\ud800🙂=?"), max_size=300)


@pytest.mark.proof("out")
@given(title=NASTY, body=st.none() | NASTY)
def test_nothing_that_people_write_adds_a_line_to_the_head_of_a_letter(title: str, body: str | None) -> None:
    notice = Notice(
        id="notice-1",
        kind="message",
        conversation="c",
        conversation_kind="pair",
        title=title + "\r\nBcc: everybody@example.org",
        url="https://chat.example.org",
        created_at=HandClock().now(),
        body=body if body is None else body + "\r\n.\r\nMAIL FROM:<x>",
    )
    head = to_message(MailOptions(host="h", sender=SENDER), ALICE, notice).as_bytes().partition(b"\r\n\r\n")[0]
    # A line that goes on from the one before begins with a blank.
    names = [line.partition(b":")[0] for line in head.split(b"\r\n") if not line.startswith((b" ", b"\t"))]
    assert sorted(names) == HEAD


def test_secrets_are_in_no_repr() -> None:
    assert "sekret" not in repr(MailOptions(host="h", sender=SENDER, password="sekret"))
