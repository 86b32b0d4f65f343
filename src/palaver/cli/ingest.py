"""`palaver ingest`: files and folders into a collection.

It works beside a running server, which then reads some of the documents, and without one. Ended at any point it goes on
where it was when it is run again: what has arrived is known by its hash.
"""

import asyncio
import hashlib
import mimetypes
import os
import sys
from collections.abc import AsyncIterator, Iterable, Iterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import click
from msgspec import Struct

from palaver.chat.documents import can_be_named
from palaver.chat.errors import NotFound
from palaver.chat.knowledge import Collection, Document, NewCollection, Quota, Sizes
from palaver.chat.user import Reader, User
from palaver.cli.faults import CannotBeConfigured, Refused
from palaver.cli.installation import Installation, in_installation
from palaver.cli.problems import to_reason
from palaver.cli.text import Line
from palaver.knowledge.embeddings import EmbeddingServer, EmbeddingsFailed
from palaver.knowledge.worker import Worker
from palaver.options import CannotEmbed, embedding_options, work_rules

LONGEST_NAME = 255
PART_BYTES = 512 * 1024
MEGABYTE = 1_000_000

# How soon it sees that the server has read a document.
LOOK_SECONDS = 0.2

# Whoever may run this command has no quota.
NO_QUOTA = Quota()


class Found(Struct, frozen=True):
    """A file, and the name of its document: its own, or its path below the folder that was given."""

    path: Path
    name: str
    size: int


class Failed(Struct, frozen=True):
    name: str
    reason: str


class Sent(Struct, frozen=True):
    document: Document
    replaces: bool


@click.command()
@click.argument("paths", metavar="PATH...", nargs=-1, required=True, type=click.Path(exists=True, path_type=Path))
@click.option(
    "--collection", "name", required=True, type=Line(100), help="The collection; it is made where it is not there."
)
@click.option("--user", "owner_name", default=None, type=Line(250), help="Whose it is; else the first admin's.")
@click.option(
    "--chunk-characters",
    "most",
    default=500,
    show_default=True,
    type=click.IntRange(100, 10_000),
    help="The longest passage, in characters.",
)
@click.option(
    "--overlap",
    default=150,
    show_default=True,
    type=click.IntRange(0, 5_000),
    help="How much of the passage before it one begins with.",
)
@click.option(
    "--chunk-usual", is_flag=True, help="Cut as the server cuts what is uploaded to it (PALAVER_PASSAGE_TOKENS)."
)
@in_installation
async def command(
    installation: Installation,
    paths: Sequence[Path],
    name: str,
    owner_name: str | None,
    most: int,
    overlap: int,
    chunk_usual: bool,
) -> None:
    """Put files, and all files below folders, into a collection.

    Files that have not changed are left alone; changed ones replace the documents of their names. It ends with 1 where
    a file could not be read.
    """
    if overlap * 2 > most:
        raise click.UsageError("--overlap can be half of --chunk-characters at most.")
    sizes = None if chunk_usual else Sizes(most, overlap, "characters")
    owner = await _find_owner(installation, owner_name)
    collection = await _find_collection(installation, owner, name.strip())
    async with AsyncExitStack() as opened:
        server = await opened.enter_async_context(_open_embeddings(installation))
        worker = _to_worker(installation)
        ingesting = _Ingesting(installation, owner, collection, sizes, worker)
        await ingesting.run(list(find_files(paths)))
        ingesting.say_summary()
        if server is not None:
            await _embed(installation, worker, server)
    if ingesting.failed:
        raise click.exceptions.Exit(1)


class _Ingesting:
    def __init__(
        self, installation: Installation, owner: User, collection: Collection, sizes: Sizes | None, worker: Worker
    ) -> None:
        self._documents = installation.store.documents
        self._clock = installation.clock
        self._most_bytes = installation.settings.knowledge_document_megabytes * MEGABYTE
        self._reader = Reader(owner.id, is_admin=owner.is_admin)
        self._collection = collection
        self._sizes = sizes
        self._worker = worker
        self._known: set[str] = set()
        self._sent: list[Sent] = []
        self._unchanged: list[Document] = []
        self.failed: list[Failed] = []

    async def run(self, files: Sequence[Found | Failed]) -> None:
        self._known = await self._list_names()
        taken: set[str] = set()
        length = sum(one.size for one in files if isinstance(one, Found)) or 1
        with click.progressbar(length=length, label=f"{len(files)} files", file=sys.stderr) as bar:
            for one in files:
                if isinstance(one, Failed):
                    self.failed.append(one)
                    continue
                if one.name in taken:
                    self.failed.append(Failed(str(one.path), f"another file that was given is called {one.name}, too"))
                else:
                    taken.add(one.name)
                    await self._take(one)
                    await self._worker.read_next()
                bar.update(one.size)
        await self._wait()

    def say_summary(self) -> None:
        read = [one for one in self._sent if one.document.status == "ready"]
        replaced = sum(one.replaces for one in read)
        click.echo(
            f"{self._collection.name}: {len(read) - replaced} new, {replaced} replaced, "
            f"{len(self._unchanged)} unchanged, {len(self.failed)} failed."
        )
        for failed in self.failed:
            click.echo(f"  {failed.name}: {failed.reason}.", err=True)

    async def _list_names(self) -> set[str]:
        names: set[str] = set()
        total = 1
        seen = 0
        while seen < total:
            page, total = await self._documents.listed(self._collection.id, limit=200, offset=seen)
            names.update(one.name for one in page)
            seen += len(page) or total
        return names

    async def _take(self, found: Found) -> None:
        if found.size > self._most_bytes:
            self.failed.append(Failed(found.name, to_reason("too_large")))
            return
        try:
            digest = await asyncio.to_thread(_to_digest, found.path)
            same = await self._documents.has(self._collection.id, found.name, digest)
            if same is not None:
                self._unchanged.append(same)
                return
            document, is_known = await self._send(found)
        except OSError as error:
            self.failed.append(Failed(found.name, error.strerror or type(error).__name__))
            return
        if is_known:
            self._unchanged.append(document)
        else:
            self._sent.append(Sent(document, found.name in self._known))

    async def _send(self, found: Found) -> tuple[Document, bool]:
        # Of what is sent: the file may have changed since it was looked at.
        digest = hashlib.sha256()
        media_type = mimetypes.guess_type(found.name)[0] or "application/octet-stream"
        begun = await self._documents.begin(self._collection.id, found.name, media_type, self._clock.now(), self._sizes)
        with found.path.open("rb") as file:
            number = 0
            while data := await asyncio.to_thread(file.read, PART_BYTES):
                digest.update(data)
                await self._documents.add_part(begun.id, number, data, NO_QUOTA, self._clock.now())
                number += 1
        return await self._documents.arrive(begun.id, digest.digest(), self._clock.now(), NO_QUOTA)

    async def _wait(self) -> None:
        """Until all that was sent, now or by an earlier run, has been read, here or by the server."""
        self._unchanged = [await self._wait_for(one) or one for one in self._unchanged]
        sent, self._sent = self._sent, []
        for one in sent:
            document = await self._wait_for(one.document)
            if document is None:
                self.failed.append(Failed(one.document.name, "it was deleted meanwhile"))
            elif document.problem is not None:
                self.failed.append(Failed(document.name, to_reason(document.problem)))
            else:
                self._sent.append(Sent(document, one.replaces))

    async def _wait_for(self, document: Document) -> Document | None:
        while True:
            try:
                document, _ = await self._documents.access(self._reader, document.uuid)
            except NotFound:
                return None
            if document.status in ("ready", "failed"):
                return document
            if not await self._worker.read_next():
                await asyncio.sleep(LOOK_SECONDS)


def find_files(paths: Iterable[Path]) -> Iterator[Found | Failed]:
    """The files, and those below the folders, in order; what is hidden in a folder, and what is no file, is left
    out."""
    for path in paths:
        if path.is_dir():
            for folder, folders, names in os.walk(path):
                folders[:] = sorted(name for name in folders if not name.startswith("."))
                for name in sorted(name for name in names if not name.startswith(".")):
                    file = Path(folder, name)
                    if file.is_file():
                        yield _to_found(file, file.relative_to(path).as_posix())
        else:
            yield _to_found(path, path.resolve().name)


def _to_found(path: Path, name: str) -> Found | Failed:
    if not can_be_named(name):
        return Failed(ascii(name), "its name holds a control character, one that turns text round, or no UTF-8")
    if len(name) > LONGEST_NAME:
        return Failed(name, f"its name has more than {LONGEST_NAME} characters")
    try:
        return Found(path, name, path.stat().st_size)
    except OSError as error:
        return Failed(name, error.strerror or type(error).__name__)


def _to_digest(path: Path) -> bytes:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").digest()


async def _find_owner(installation: Installation, name: str | None) -> User:
    if name is not None:
        return await installation.find_person(name)
    admins = [one for one in await installation.store.accounts.list_users() if one.is_admin and not one.disabled]
    if not admins:
        raise Refused("There is no admin yet. Say whose the collection is: --user NAME, after `palaver user add NAME`.")
    return min(admins, key=lambda one: one.id)


async def _find_collection(installation: Installation, owner: User, name: str) -> Collection:
    """The owner's of that name, made where there is none."""
    if not name:
        raise click.UsageError("A collection has a name.")
    collections = installation.store.collections
    found = await collections.find(Reader(owner.id), name)
    if found is not None and found.owner_id == owner.id:
        return found
    return await collections.add(owner, NewCollection(name), installation.clock.now(), NO_QUOTA)


def _to_worker(installation: Installation) -> Worker:
    store = installation.store
    return Worker(store.documents, store.passages, installation.clock, work_rules(installation.settings))


@asynccontextmanager
async def _open_embeddings(installation: Installation) -> AsyncIterator[EmbeddingServer | None]:
    try:
        options = embedding_options(installation.settings)
    except CannotEmbed as error:
        raise CannotBeConfigured(str(error)) from error
    if options is None:
        yield None
        return
    async with EmbeddingServer(options) as server:
        yield server


async def _embed(installation: Installation, worker: Worker, server: EmbeddingServer) -> None:
    """Of the model that is searched alone: which one that is, a server decides."""
    current = await installation.store.passages.embedding()
    if current is not None and current.model != server.model:
        click.echo(
            f"No vectors were made: those of {current.model} are searched, and PALAVER_EMBEDDING_MODEL is "
            f"{server.model} here. A server makes them.",
            err=True,
        )
        return
    try:
        await worker.embed_missing(server)
    except EmbeddingsFailed as error:
        # The documents are found by their words, and a server that runs makes up for it.
        click.echo(f"There are no vectors yet: the embedding server {error}.", err=True)
