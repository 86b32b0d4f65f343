"""Collections and their documents over real HTTP, as docs/knowledge.md says it."""

import asyncio
import hashlib
from collections.abc import AsyncIterator, Mapping
from urllib.parse import urlsplit

import pytest
from aiohttp import ClientSession

from tests.contracts.knowing import (
    COLLECTIONS,
    DOCUMENTS,
    Fields,
    collection_shown,
    document_shown,
    keep,
    make_collection,
    read_whole,
    search,
    upload,
)
from tests.contracts.talking import make, read
from tests.journeys.client import TEXT, Answer, Client, ask_until, new_name, register, sign_in
from tests.parts.palaver import Server

UNKNOWN = "0d2b8a54-6f0f-4c55-9e0a-5a3c1d2f7b10"
MEGABYTE = 1_000_000
BREAD = "# Rates\n\nBread is taxed at seven per cent.\n\n# Exceptions\n\nCake is taxed at nineteen per cent.\n"

pytestmark = pytest.mark.usefixtures("llm")


@pytest.fixture(scope="module")
def server_environment(scaled: Mapping[str, str]) -> Mapping[str, str]:
    return {
        "PALAVER_REGISTRATION": "on",
        "PALAVER_GUESTS": "on",
        "PALAVER_MAX_BODY_BYTES": "65536",
        "PALAVER_KNOWLEDGE_DOCUMENT_MEGABYTES": "3",
        "PALAVER_KNOWLEDGE_COLLECTIONS": "5",
        # What broke off would soon leave no room, if anything of it were kept.
        "PALAVER_KNOWLEDGE_MEGABYTES": "6",
        **scaled,
    }


@pytest.fixture(scope="module")
async def owner(nobody: Client) -> Client:
    return await register(nobody)


@pytest.fixture
async def collection(owner: Client) -> AsyncIterator[Fields]:
    """Empty, and with all the room that its owner has."""
    made = await make_collection(owner)
    yield made
    await owner.delete(at(made))


def at(collection: Fields | str, place: str = "") -> str:
    return f"{COLLECTIONS}{collection if isinstance(collection, str) else collection['id']}/{place}"


async def username(person: Client) -> str:
    return str((await read(person, await make(person)))["user"]["username"])


async def share(person: Client, collection: Fields, *people: Client) -> Answer:
    names = [await username(one) for one in people]
    return await person.send("PUT", at(collection, "shares/"), {"usernames": names})


async def names_seen(person: Client) -> list[str]:
    return [one["name"] for one in (await person.get(COLLECTIONS)).body["collections"]]


async def documents_of(person: Client, collection: Fields, query: str = "") -> Fields:
    answer = await person.get(at(collection, f"documents/{query}"))
    assert answer.status == 200, answer.text
    listed: Fields = answer.body
    return listed


# Collections


async def test_collection_is_shown_as_it_was_made(newcomer: Client) -> None:
    name = new_name()
    made = await make_collection(newcomer, name=f"  {name} ", description="Leaflets.")
    assert made == collection_shown(name=name, description="Leaflets.", owner=await username(newcomer))
    assert (await newcomer.get(at(made))).body == made
    assert (await newcomer.get(COLLECTIONS)).body == {"collections": [made]}


@pytest.mark.parametrize(
    ("fields", "wrong"),
    [
        ({}, "name"),
        ({"name": "  "}, "name"),
        ({"name": "n" * 101}, "name"),
        ({"name": UNKNOWN}, "name"),
        ({"name": "n", "description": "d" * 501}, "description"),
        ({"name": "n", "is_public": "yes"}, "is_public"),
    ],
)
async def test_what_cannot_be_is_refused_by_its_field(owner: Client, fields: Fields, wrong: str) -> None:
    answer = await owner.post(COLLECTIONS, **fields)
    assert (answer.status, answer.body) == (400, {wrong: [TEXT]})
    assert await names_seen(owner) == []


async def test_a_name_is_ones_own_only_once_and_changes_are_kept(owner: Client, collection: Fields) -> None:
    taken = await owner.post(COLLECTIONS, name=collection["name"])
    assert (taken.status, taken.body) == (400, {"name": ["This is taken already."]})
    other = await make_collection(owner)
    assert (await owner.patch(at(other), name=collection["name"])).status == 400
    changed = await owner.patch(at(other), description="Now so.")
    assert changed.body == {**other, "description": "Now so.", "updated_at": changed.body["updated_at"]}
    assert (await owner.get(at(other))).body == changed.body
    assert (await owner.delete(at(other))).status == 204


async def test_nobody_keeps_more_collections_than_there_may_be(newcomer: Client) -> None:
    for _ in range(5):
        await make_collection(newcomer)
    answer = await newcomer.having(Accept_Language="de").post(COLLECTIONS, name=new_name())
    assert (answer.status, answer.body) == (
        413, {"detail": "Höchstens 5 Sammlungen. Bitte zuerst eine löschen."},
    )  # fmt: skip
    assert len(await names_seen(newcomer)) == 5


async def test_shared_is_read_by_those_it_is_shared_with_and_changed_by_none_of_them(
    owner: Client, collection: Fields, bob: Client, alice: Client
) -> None:
    document = await keep(owner, collection, BREAD, "rates.md")
    shared = await share(owner, collection, bob)
    assert shared.body == {"usernames": [await username(bob)]}
    assert (await owner.get(at(collection, "shares/"))).body == shared.body
    reads = [at(collection), at(collection, "documents/"), at(collection, "search/?q=bread")]
    reads += [f"{DOCUMENTS}{document['id']}/{place}" for place in ("", "passages/", "file/")]
    changes: list[tuple[str, str, object]] = [
        ("PATCH", at(collection), {"name": "mine"}),
        ("DELETE", at(collection), None),
        ("GET", at(collection, "shares/"), None),
        ("PUT", at(collection, "shares/"), {"usernames": []}),
        ("POST", at(collection, "documents/?name=b.txt"), b"more"),
        ("DELETE", f"{DOCUMENTS}{document['id']}/", None),
    ]
    assert [(await bob.get(path)).status for path in reads] == [200] * len(reads)
    assert [(await alice.get(path)).status for path in reads] == [404] * len(reads)
    assert [(await bob.send(*change)).status for change in changes] == [403] * len(changes)
    assert [(await alice.send(*change)).status for change in changes] == [404] * len(changes)
    assert (await bob.get(at(collection))).body["can_edit"] is False
    assert collection["name"] in await names_seen(bob)
    await share(owner, collection)
    assert [(await bob.get(path)).status for path in reads] == [404] * len(reads)
    assert collection["name"] not in await names_seen(bob)


async def test_whoever_something_was_shared_with_can_have_it_no_more(
    owner: Client, collection: Fields, bob: Client, alice: Client
) -> None:
    await share(owner, collection, bob)
    mine = at(collection, "shares/mine/")
    assert [(await one.delete(mine)).status for one in (owner, alice, bob, bob)] == [404, 404, 204, 404]
    assert (await bob.get(at(collection))).status == 404
    assert (await owner.get(at(collection, "shares/"))).body == {"usernames": []}


async def test_share_with_nobody_changes_nothing(owner: Client, collection: Fields, bob: Client) -> None:
    await share(owner, collection, bob)
    answer = await owner.send("PUT", at(collection, "shares/"), {"usernames": ["nobody-of-that-name"]})
    assert (answer.status, answer.body) == (400, {"usernames": ["Unknown user name."]})
    assert (await owner.get(at(collection, "shares/"))).body == {"usernames": [await username(bob)]}


async def test_guests_read_what_is_public_and_make_nothing(nobody: Client, owner: Client) -> None:
    public, private = await make_collection(owner, is_public=True), await make_collection(owner)
    await keep(owner, public, BREAD)
    assert (await nobody.get(at(public))).body["can_edit"] is False
    assert [passage["text"] for passage in await search(nobody, public, "bread")] != []
    assert (await nobody.get(at(private))).status == 404
    refused = [
        await nobody.post(COLLECTIONS, name=new_name()),
        await nobody.send("POST", at(public, "documents/?name=a.txt"), b"x"),
        await nobody.send("PUT", at(public, "shares/"), {"usernames": []}),
    ]
    assert [answer.status for answer in refused] == [401] * 3
    assert [(await nobody.patch(at(public), name="x")).status, (await nobody.delete(at(public))).status] == [403, 403]
    assert {(await owner.delete(at(one))).status for one in (public, private)} == {204}


async def test_an_admin_changes_any_and_finds_nothing_in_what_others_keep_for_themselves(
    admin: Client, owner: Client, collection: Fields
) -> None:
    await keep(owner, collection, BREAD)
    seen = (await admin.get(at(collection))).body
    assert (seen["can_edit"], seen["can_ask"]) == (True, False)
    assert await search(admin, collection, "bread") == []
    assert (await admin.patch(at(collection), description="Looked at.")).status == 200


async def test_deleted_collection_takes_all_its_documents_with_it(owner: Client, collection: Fields) -> None:
    document = await keep(owner, collection, BREAD)
    assert (await owner.delete(at(collection))).status == 204
    gone = [at(collection), at(collection, "documents/"), at(collection, "search/?q=bread")]
    gone += [f"{DOCUMENTS}{document['id']}/{place}" for place in ("", "passages/", "file/")]
    assert [(await owner.get(path)).status for path in gone] == [404] * len(gone)
    again = await make_collection(owner, name=collection["name"])
    assert await search(owner, again, "bread") == []
    assert (await owner.delete(at(again))).status == 204


@pytest.mark.parametrize("named", [UNKNOWN, "abc", "1", "%00"])
async def test_what_is_not_there_is_not_found_in_the_same_words(owner: Client, named: str) -> None:
    paths = [at(named), at(named, "documents/"), at(named, "search/?q=x"), f"{DOCUMENTS}{named}/"]
    answers = [await owner.get(path) for path in paths]
    assert [(answer.status, answer.text) for answer in answers] == [(404, '{"detail":"Not found."}')] * 4


# Documents


async def test_document_is_uploaded_read_and_given_back(owner: Client, collection: Fields) -> None:
    answer = await upload(owner, collection, BREAD, "taxes/rates.md", kind="Text/Markdown; charset=utf-8")
    size = len(BREAD.encode())
    assert answer.status == 202
    waiting = document_shown(
        collection_id=collection["id"], name="taxes/rates.md", media_type="text/markdown", size=size,
        status=answer.body["status"],
    )  # fmt: skip
    assert answer.body == waiting
    assert answer.body["status"] in ("waiting", "reading")
    document = await read_whole(owner, answer.body["id"])
    assert document == {**waiting, "status": "ready"}
    passages = (await owner.get(f"{DOCUMENTS}{document['id']}/passages/")).body["passages"]
    assert [passage["number"] for passage in passages] == list(range(document["passage_count"]))
    assert {passage["document_name"] for passage in passages} == {"taxes/rates.md"}
    assert set(passages[0]) == {
        "document_id", "document_name", "number", "start", "end", "page", "heading", "text",
    }  # fmt: skip
    file = await owner.get(f"{DOCUMENTS}{document['id']}/file/")
    assert file.content == BREAD.encode()
    whole = (await owner.get(at(collection))).body
    assert (whole["document_count"], whole["size"]) == (1, size)


async def test_file_is_always_a_download(owner: Client, collection: Fields) -> None:
    name = 'x/"é"; Set-Cookie: a=b.html'
    document = await keep(owner, collection, "<script>alert(1)</script> hello", name, kind="text/html")
    for method in ("GET", "HEAD"):
        file = await owner.send(method, f"{DOCUMENTS}{document['id']}/file/")
        assert file.status == 200
        assert file.headers["Content-Type"] == "application/octet-stream"
        assert file.headers["X-Content-Type-Options"] == "nosniff"
        assert file.headers["Content-Length"] == str(document["size"])
        assert file.headers["Content-Disposition"] == (
            "attachment; filename*=UTF-8''%22%C3%A9%22%3B%20Set-Cookie%3A%20a%3Db.html"
        )
        assert "Set-Cookie" not in file.headers


async def test_list_is_by_name_and_in_pages(owner: Client, collection: Fields) -> None:
    for name in ("c.txt", "a.txt", "b.txt"):
        assert (await upload(owner, collection, f"Document {name}.", name)).status == 202
    page = await documents_of(owner, collection, "?limit=2&offset=1")
    assert ([one["name"] for one in page["documents"]], page["total"]) == (["b.txt", "c.txt"], 3)
    for query in ("?limit=0", "?limit=201", "?offset=-1", "?limit=x"):
        assert (await owner.get(at(collection, f"documents/{query}"))).status == 400


async def test_the_same_bytes_under_the_same_name_change_nothing(owner: Client, collection: Fields) -> None:
    document = await keep(owner, collection, BREAD)
    again = await upload(owner, collection, BREAD)
    assert (again.status, again.body) == (200, document)
    other = await upload(owner, collection, BREAD, "other.txt")
    assert other.status == 202


async def test_other_bytes_under_the_same_name_take_its_place_once_they_are_read(
    owner: Client, collection: Fields
) -> None:
    await keep(owner, collection, "The old rate is five.")
    await keep(owner, collection, "The new rate is seven.")
    listed = await documents_of(owner, collection)
    assert (len(listed["documents"]), listed["total"]) == (1, 1)
    assert [passage["text"].strip() for passage in await search(owner, collection, "rate")] == [
        "The new rate is seven."
    ]


async def test_deleted_document_is_found_no_more(owner: Client, collection: Fields) -> None:
    document = await keep(owner, collection, BREAD)
    assert (await owner.delete(f"{DOCUMENTS}{document['id']}/")).status == 204
    assert await search(owner, collection, "bread") == []
    assert (await documents_of(owner, collection)) == {"documents": [], "total": 0}
    assert (await owner.delete(f"{DOCUMENTS}{document['id']}/")).status == 404


async def test_who_uploads_what_cannot_be_read_is_told_why(owner: Client, collection: Fields) -> None:
    answer = await upload(owner, collection, b"\x89PNG\r\n\x1a\n" + bytes(64), "a.png", kind="image/png")
    for language, words in (
        ("en", "This kind of file cannot be read."),
        ("de", "Diese Art von Datei kann nicht gelesen werden."),
        ("it", "Questo tipo di file non si può leggere."),
    ):
        document = await read_whole(owner.having(Accept_Language=language), answer.body["id"])
        assert document["status"] == "failed"
        assert document["problem"].startswith(words)


@pytest.mark.parametrize("query", ["", "?name=", "?name=%20", f"?name={'n' * 256}", "?name=%00"])
async def test_document_needs_a_name(owner: Client, collection: Fields, query: str) -> None:
    answer = await owner.send("POST", at(collection, f"documents/{query}"), b"text")
    assert (answer.status, answer.body) == (400, {"name": [TEXT]})


@pytest.mark.parametrize("name", ["a%0D%0ASet-Cookie%3A%20a%3Db", "%E2%80%AEgnp.exe", "a%C2%85b", "%E2%81%A6a"])
async def test_document_has_no_name_that_looks_like_another(owner: Client, collection: Fields, name: str) -> None:
    answer = await owner.send("POST", at(collection, f"documents/?name={name}"), b"text")
    words = "This may not hold control characters, or characters that turn text round."
    assert (answer.status, answer.body) == (400, {"name": [words]})


@pytest.mark.parametrize("query", ["", "?q=", f"?q={'q' * 1001}", "?q=x&limit=0", "?q=x&limit=51"])
async def test_search_needs_a_question(owner: Client, collection: Fields, query: str) -> None:
    assert (await owner.get(at(collection, f"search/{query}"))).status == 400


# Uploads that are long, or come to no end


async def test_upload_is_longer_than_other_requests_may_be_and_comes_back_whole(
    owner: Client, collection: Fields
) -> None:
    text = "".join(f"Line {number} of a long document.\n" for number in range(80_000))[: 5 * MEGABYTE // 2]
    answer = await upload(owner, collection, text)
    assert (answer.status, answer.body["size"]) == (202, len(text))
    file = await owner.get(f"{DOCUMENTS}{answer.body['id']}/file/")
    assert hashlib.sha256(file.content).digest() == hashlib.sha256(text.encode()).digest()


async def test_one_person_sends_so_many_at_once_and_others_go_on(
    owner: Client, collection: Fields, newcomer: Client
) -> None:
    go_on = asyncio.Event()

    async def pieces() -> AsyncIterator[bytes]:
        yield b"one and "
        await go_on.wait()
        yield b"the other"

    async def send(path: str) -> int:
        headers = owner.sending({})._headers
        async with ClientSession() as http, http.post(owner.url + path, data=pieces(), headers=headers) as answer:
            return answer.status

    paths = [at(collection, f"documents/?name={number}.txt") for number in range(9)]
    async with asyncio.TaskGroup() as sending:
        sent = [sending.create_task(send(path)) for path in paths]
        [one_too_many], held = await asyncio.wait(sent, return_when="FIRST_COMPLETED")
        assert one_too_many.result() == 429
        refused = await upload(owner, collection, "one more")
        assert refused.body["detail"] == "You can send 8 documents at once. Try again in 2 seconds."
        assert refused.headers["retry-after"] == "2"
        assert (await upload(newcomer, await make_collection(newcomer), "another's")).status == 202
        go_on.set()
    assert [task.result() for task in held] == [202] * 8


async def _stream(
    server: Server, person: Client, path: str, announced: int | None, sent: AsyncIterator[bytes]
) -> bytes:
    """What the server answers to an upload that may never end; empty where it says nothing before we leave."""
    host, port = urlsplit(server.url).hostname, urlsplit(server.url).port
    reader, writer = await asyncio.open_connection(host, port)
    length = "Transfer-Encoding: chunked" if announced is None else f"Content-Length: {announced}"
    token = person.sending({})._headers["Authorization"]
    writer.write(f"POST {path} HTTP/1.1\r\nHost: x\r\nAuthorization: {token}\r\n{length}\r\n\r\n".encode())
    try:
        async for piece in sent:
            writer.write(piece if announced is not None else b"%x\r\n%b\r\n" % (len(piece), piece))
            await writer.drain()
        return await asyncio.wait_for(reader.readuntil(b"\r\n"), 15) if announced != HALF else b""
    finally:
        writer.close()


HALF = 2 * MEGABYTE


async def _pieces(count: int) -> AsyncIterator[bytes]:
    for _ in range(count):
        yield bytes(65_536)


async def test_upload_that_is_announced_too_long_is_refused_before_it_is_read(
    shared_server: Server, owner: Client, collection: Fields
) -> None:
    path = at(collection, "documents/?name=a.txt")
    answer = await _stream(shared_server, owner, path, 3 * MEGABYTE + 1, _pieces(0))
    assert answer.startswith(b"HTTP/1.1 413 ")
    assert (await documents_of(owner, collection))["total"] == 0


@pytest.mark.parametrize(
    ("language", "words"),
    [
        ("en", "This document is too large: 3 MB at most."),
        ("de", "Dieses Dokument ist zu groß: höchstens 3 MB."),
        ("it", "Questo documento è troppo grande: al massimo 3 MB."),
    ],
)
async def test_upload_that_is_too_large_is_told_how_large_it_may_be(
    owner: Client, collection: Fields, language: str, words: str
) -> None:
    assert collection["largest_document"] == 3_000_000
    refused = await upload(owner.having(Accept_Language=language), collection, bytes(3_000_001))
    assert (refused.status, refused.body) == (413, {"detail": words})


async def test_upload_that_turns_out_too_long_is_refused_and_leaves_nothing(
    shared_server: Server, owner: Client, collection: Fields
) -> None:
    path = at(collection, "documents/?name=a.txt")
    for _ in range(3):
        answer = await _stream(shared_server, owner, path, None, _pieces(3 * 16))
        assert answer.startswith(b"HTTP/1.1 413 ")
    assert (await documents_of(owner, collection))["total"] == 0
    assert (await owner.get(at(collection))).body == collection
    assert (await upload(owner, collection, bytes(5 * MEGABYTE // 2))).status == 202


async def test_upload_that_breaks_off_leaves_nothing(shared_server: Server, owner: Client, collection: Fields) -> None:
    path = at(collection, "documents/?name=a.txt")
    for _ in range(5):
        assert await _stream(shared_server, owner, path, HALF, _pieces(24)) == b""
    # It takes a moment until the server knows that nothing more comes.
    whole = bytes(5 * MEGABYTE // 2)
    await ask_until(lambda: upload(owner, collection, whole, "b.txt"), lambda one: one.status == 202, seconds=15)
    [listed] = (await documents_of(owner, collection))["documents"]
    assert (listed["name"], listed["size"]) == ("b.txt", len(whole))


async def test_more_than_one_person_may_keep_is_refused_and_leaves_nothing(owner: Client, collection: Fields) -> None:
    for name in ("a.txt", "b.txt"):
        assert (await upload(owner, collection, bytes(5 * MEGABYTE // 2), name)).status == 202
    refused = await upload(owner.having(Accept_Language="it"), collection, bytes(2 * MEGABYTE), "c.txt")
    words = "I tuoi documenti possono occupare 6 MB in tutto. Eliminane prima uno."
    assert (refused.status, refused.body) == (413, {"detail": words})
    assert (await upload(owner, collection, bytes(MEGABYTE // 2), "d.txt")).status == 202


async def test_upload_from_a_page_of_somebody_else_is_refused(
    nobody: Client, shared_server: Server, admin: Client
) -> None:
    collection = await make_collection(admin)
    cookies = await sign_in(nobody, shared_server)
    browser = nobody.carrying(**cookies)
    path = at(collection, "documents/?name=a.txt")
    own = browser.having(X_CSRFToken=cookies["csrftoken"])
    assert (await browser.send("POST", path, b"text")).status == 403
    assert (await own.having(Origin="https://evil.example").send("POST", path, b"text")).status == 403
    assert (await documents_of(admin, collection))["total"] == 0
    assert (await own.having(Origin=shared_server.url).send("POST", path, b"text")).status == 202
    assert (await admin.delete(at(collection))).status == 204
