"""A short plain message to somebody's address, by the operator's own server (SMTP)."""

import asyncio
import re
import smtplib
import ssl
from email.message import EmailMessage
from email.policy import SMTP
from functools import partial

from palaver.chat.clock import to_datetime
from palaver.chat.errors import Invalid
from palaver.chat.ports import Later, MailTarget, Notice, Outcome, Refused, Sent
from palaver.notify.options import MailOptions
from palaver.notify.threads import Threads
from palaver.notify.words import say_what_happened, shorten, word

_AT_ONCE = 4
_STEP_SECONDS = 10.0
_TOTAL_SECONDS = 30.0
_LONGEST_SUBJECT = 150
_LONGEST_BODY = 2000

_ATOM = "[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+"
_LABEL = "[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?"
_ADDRESS = re.compile(rf"(?=.{{3,254}}\Z)(?=[^@]{{1,64}}@){_ATOM}(?:\.{_ATOM})*@{_LABEL}(?:\.{_LABEL})*\Z")
_UNPRINTABLE = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]+")
_NO_TEXT = re.compile("[\x00-\x08\x0b-\x1f\x7f\ud800-\udfff]")


class Mail:
    """`tls`: whose certificates are believed, for tests."""

    def __init__(self, options: MailOptions, *, tls: ssl.SSLContext | None = None) -> None:
        self._options = options
        self._tls = tls
        self._threads = Threads(_AT_ONCE, "palaver-mail")

    def check(self, target: MailTarget) -> None:
        """Raises `Invalid`."""
        if not _ADDRESS.match(target.address):
            raise Invalid("address", "invalid")

    async def send(self, target: MailTarget, notice: Notice) -> Outcome:
        if not _ADDRESS.match(target.address):
            return Refused("is no address that mail can go to")
        message = to_message(self._options, target, notice)
        try:
            async with asyncio.timeout(_TOTAL_SECONDS):
                await self._threads.run(partial(self._deliver, message))
        except smtplib.SMTPRecipientsRefused as error:
            return _to_outcome(max(code for code, _ in error.recipients.values()))
        except smtplib.SMTPDataError as error:
            return _to_outcome(error.smtp_code)
        except smtplib.SMTPResponseException as error:
            # It takes nothing of this server, or not this user's: a setting is wrong, which can be put right.
            return Later(None, f"answers {error.smtp_code}")
        except smtplib.SMTPNotSupportedError:
            return Later(None, "offers no TLS or no sign-in, and one is set")
        except ssl.SSLError:
            return Later(None, "has no valid certificate")
        except smtplib.SMTPServerDisconnected:
            return Later(None, "was silent, or closed the connection")
        except TimeoutError:
            return Later(None, "took too long")
        except (smtplib.SMTPException, OSError):
            return Later(None, "cannot be reached")
        return Sent()

    def _deliver(self, message: EmailMessage) -> None:
        options = self._options
        # Its own name it would look up, and tell.
        name = options.sender.rpartition("@")[2]
        tls = self._tls or ssl.create_default_context()
        with (
            smtplib.SMTP_SSL(options.host, options.port, name, timeout=_STEP_SECONDS, context=tls)
            if options.security == "tls"
            else smtplib.SMTP(options.host, options.port, name, timeout=_STEP_SECONDS)
        ) as server:
            if options.security == "starttls":
                server.starttls(context=tls)
            if options.user is not None:
                server.login(options.user, options.password or "")
            server.send_message(message, options.sender, [str(message["To"])])


def to_message(options: MailOptions, target: MailTarget, notice: Notice) -> EmailMessage:
    """Nothing that a person has written can add a line to what stands before the text."""
    message = EmailMessage(policy=SMTP)
    message["From"] = f"Palaver <{options.sender}>"
    message["To"] = target.address
    message["Subject"] = shorten(_to_one_line(say_what_happened(notice)), _LONGEST_SUBJECT)
    message["Date"] = to_datetime(notice.created_at)
    # The same at every try: whoever gets it twice shows it once.
    message["Message-ID"] = f"<{notice.id}@{options.sender.rpartition('@')[2]}>"
    message["Auto-Submitted"] = "auto-generated"
    message.set_content("\n\n".join(_list_paragraphs(notice)) + "\n")
    return message


def _list_paragraphs(notice: Notice) -> list[str]:
    said = [] if notice.body is None else [shorten(_NO_TEXT.sub(" ", notice.body), _LONGEST_BODY)]
    unread = [word("unread", notice.language, str(notice.unread))] if notice.unread > 1 else []
    where = f"{word('open', notice.language)}\n{notice.url}"
    return [_to_one_line(say_what_happened(notice)), *said, *unread, where, f"-- \n{word('why', notice.language)}"]


def _to_one_line(text: str) -> str:
    return _UNPRINTABLE.sub(" ", text).strip()


def _to_outcome(code: int) -> Outcome:
    return Refused(f"answers {code}") if code >= 500 else Later(None, f"answers {code}")
