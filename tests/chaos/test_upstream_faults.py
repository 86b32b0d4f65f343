"""Whatever an LLM server does wrong, a turn ends as it should: kept, named, told in plain words, and ready for more.

A prompt carries the script of its own fault, so that the three APIs are tried at once on one server.
"""

import asyncio
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from uuid import uuid4

import aiohttp
import pytest

from palaver.chat.conversation import End
from palaver.llm_server.responses import SECRET
from palaver.llm_server.script import FAULTS
from tests.chaos.kept import Kept, turn_in
from tests.chaos.person import APIS, ApiName, Person, Told
from tests.chaos.upstream import asked
from tests.parts.llm import LLM
from tests.parts.palaver import Server, StartServer

pytestmark = pytest.mark.proof("faults")

WHOLE = "One two three."
TRIES = 3


@dataclass(frozen=True)
class Case:
    """A fault, and what has to become of a turn that meets it."""

    script: str
    end: End
    text: str
    requests: int
    """How often the server is asked before the turn is given up."""
    logged: str
    """What the log says about the cause, beside the request's id."""

    @property
    def fault(self) -> str:
        return self.script.partition("&")[0]


# These take time, and are therefore tried at once.
ASKED_AGAIN = (
    Case("429", "failed", "", TRIES, "answers 429"),
    Case("429-retry-after&retry_after=0.3", "failed", "", TRIES, "answers 429"),
    Case("500", "failed", "", TRIES, "answers 500"),
    Case("503", "failed", "", TRIES, "answers 503"),
)
SILENT = (
    Case("no-first-byte", "failed", "", 1, "timeout"),
    Case("headers-only", "failed", "", 1, "timeout"),
    Case("stall", "interrupted", "One ", 1, "timeout"),
    Case("stall&after=0", "failed", "", 1, "timeout"),
)
BROKEN = (
    Case("html", "failed", "", 1, "gives no reply but"),
    Case("empty", "failed", "", 1, "empty"),
    Case("cut", "interrupted", "One ", 1, "without a finish mark"),
    Case("reset", "interrupted", "One ", 1, "broke off"),
    Case("malformed", "interrupted", "One ", 1, "no chunk of a completion"),
    Case("oversized", "interrupted", "One ", 1, "too large"),
    Case("error-in-stream", "interrupted", "One ", 1, "ran out of memory"),
    Case("cut&after=0", "failed", "", 1, "without a finish mark"),
    Case("reset&after=0", "failed", "", 1, "broke off"),
    Case("malformed&after=0", "failed", "", 1, "no chunk of a completion"),
    Case("oversized&after=0", "failed", "", 1, "too large"),
    Case("error-in-stream&after=0", "failed", "", 1, "ran out of memory"),
)
FAILING = (*ASKED_AGAIN, *SILENT, *BROKEN)
HARMLESS: Mapping[str, str] = {
    "one-byte": WHOLE,
    "crlf": WHOLE,
    "comments": WHOLE,
    "emoji-cut": "One 😀two three.",
    "bytes-cut": "One 😀two three.",
    "wrong-type": WHOLE,
    "no-usage": WHOLE,
    "reject-stream-options": WHOLE,
    "slow-headers": WHOLE,
}


@pytest.fixture
def server(shared_server: Server) -> Server:
    return shared_server


@pytest.fixture
def alice(shared_alice: Person) -> Person:
    return shared_alice


@dataclass(frozen=True)
class Said:
    """Something that was said through one API, under ids of its own."""

    api: ApiName
    conversation: str | None
    text: str
    id: str

    async def by(self, person: Person) -> Told:
        return await person.say(
            self.text, self.conversation, api=self.api, client_message_id=self.id, request_id=self.id
        )


async def prepare(alice: Person, api: ApiName, script: str) -> Said:
    """A prompt whose reply has this fault, in a conversation of its own, which chat_domain opens by saying it."""
    mark = f"{api}-{uuid4().hex}"
    conversation = None if api == "chat_domain" else await alice.open_conversation(api)
    return Said(api, conversation, f"{mark} [[fault={script}&key={mark}&text={WHOLE}]]", mark)


def test_every_fault_of_the_stand_in_is_tried() -> None:
    assert {case.fault for case in FAILING} | set(HARMLESS) == set(FAULTS)


@pytest.mark.parametrize("cases", [ASKED_AGAIN, *((case,) for case in BROKEN)], ids=lambda cases: cases[0].script)
async def test_fault_is_kept_told_without_its_cause_and_healed_by_asking_again(
    alice: Person, llm: LLM, kept: Kept, cases: tuple[Case, ...]
) -> None:
    await check_kept_told_and_healed(alice, llm, kept, cases)


async def test_silence_is_kept_told_without_its_cause_and_healed_by_asking_again(
    start_server: StartServer, http: aiohttp.ClientSession, llm: LLM
) -> None:
    # It is a fault after six seconds before the first piece, and after three between two. On a busy machine other
    # faults take half as long, and so does a server that is well again.
    server = await start_server(LLM_TIMEOUT="3")
    await check_kept_told_and_healed(Person(http, server, await server.token("admin")), llm, Kept(server), SILENT)


async def check_kept_told_and_healed(alice: Person, llm: LLM, kept: Kept, cases: Sequence[Case]) -> None:
    said = [(case, await prepare(alice, api, f"{case.script}&times={case.requests}")) for case in cases for api in APIS]
    told = await asyncio.gather(*(one.by(alice) for _, one in said))
    messages, heard, log = await kept.messages(), await llm.record(), alice.server.log_text()
    for (case, one), answer in zip(said, told, strict=True):
        assert answer.says_model_failed, (one.api, answer)
        assert SECRET not in answer.everything
        assert llm.url.partition("//")[2] not in answer.everything
        assert answer.headers["X-Request-Id"] == one.id
        assert re.search(f"{one.id}.*{re.escape(case.logged)}", log), f"{one.id}: no {case.logged!r} in the log"
        turn = turn_in(messages, one.id)
        assert (turn.prompt.status, turn.prompt.content) == ("complete", one.text)
        assert (turn.reply.status, turn.reply.content) == (case.end, case.text), one.api
        assert len(asked(heard, one.id)) == case.requests
        listed = [("user", one.text)] + ([("assistant", case.text)] if case.text else [])
        assert await alice.list_messages(turn.prompt.conversation) == listed

    # The server is well again: the same message under the same id.
    again = await asyncio.gather(*(one.by(alice) for _, one in said))
    messages, heard = await kept.messages(), await llm.record()
    for (case, one), answer in zip(said, again, strict=True):
        assert answer.text == WHOLE
        turn = turn_in(messages, one.id)
        assert (turn.reply.status, turn.reply.content) == ("complete", WHOLE)
        assert len(asked(heard, one.id)) == case.requests + 1
        assert await alice.list_messages(turn.prompt.conversation) == [("user", one.text), ("assistant", WHOLE)]
    assert not await kept.miscounted()
    assert not await kept.log_rows()


@pytest.mark.parametrize("fault", HARMLESS)
async def test_harmless_fault_changes_no_word(alice: Person, llm: LLM, kept: Kept, fault: str) -> None:
    said = [await prepare(alice, api, fault) for api in APIS]
    told = await asyncio.gather(*(one.by(alice) for one in said))
    messages, heard = await kept.messages(), await llm.record()
    for one, answer in zip(said, told, strict=True):
        assert answer.text == HARMLESS[fault]
        reply = turn_in(messages, one.id).reply
        assert (reply.status, reply.content) == ("complete", HARMLESS[fault])
        # One that does not take `stream_options` may be asked again without them.
        assert len(asked(heard, one.id)) <= (2 if fault == "reject-stream-options" else 1)
        assert (await one.by(alice)).text == HARMLESS[fault]
    assert len(await llm.record()) == len(heard), "what is answered is not asked again"


async def test_server_that_says_when_to_come_back_is_not_asked_earlier(alice: Person, llm: LLM) -> None:
    said = await prepare(alice, "chat_domain", f"429-retry-after&retry_after=0.3&times={TRIES - 1}")
    assert (await said.by(alice)).text == WHOLE
    times = [request.arrived_at.monotonic for request in asked(await llm.record("ended", n=TRIES), said.id)]
    assert all(later - earlier >= 0.3 for earlier, later in pairwise(times)), times


async def test_server_that_stumbles_once_is_asked_again_and_nobody_notices(alice: Person, llm: LLM, kept: Kept) -> None:
    said = [await prepare(alice, api, "503&times=1") for api in APIS]
    for one, answer in zip(said, await asyncio.gather(*(one.by(alice) for one in said)), strict=True):
        assert answer.text == WHOLE
        assert len(asked(await llm.record(), one.id)) == 2
        assert (await kept.turn(one.id)).reply.status == "complete"


async def test_llm_server_that_is_down_fails_the_turn_and_answers_it_when_it_is_back(
    alice: Person, llm: LLM, kept: Kept
) -> None:
    said = [await prepare(alice, api, "crlf") for api in APIS]
    llm.process.kill()
    told = await asyncio.gather(*(one.by(alice) for one in said))
    messages, log = await kept.messages(), alice.server.log_text()
    for one, answer in zip(said, told, strict=True):
        assert answer.says_model_failed, (one.api, answer)
        assert llm.url.partition("//")[2] not in answer.everything
        assert re.search(f"{one.id}.*cannot be reached", log)
        reply = turn_in(messages, one.id).reply
        assert (reply.status, reply.content) == ("failed", "")
    await llm.restart()
    again = await asyncio.gather(*(one.by(alice) for one in said))
    messages, heard = await kept.messages(), await llm.record()
    for one, answer in zip(said, again, strict=True):
        assert answer.text == WHOLE
        assert turn_in(messages, one.id).reply.status == "complete"
        assert len(asked(heard, one.id)) == 1
