"""A store that cannot be opened says so in a sentence, and tells no secret."""

import traceback
from pathlib import Path

import pytest

from palaver.chat.errors import StoreUnavailable
from palaver.store import StoreOptions, open_store

PASSWORD = "hunter2-and-more"


async def refuse(options: StoreOptions) -> StoreUnavailable:
    with pytest.raises(StoreUnavailable) as refused:
        async with open_store(options):
            pass
    return refused.value


@pytest.mark.parametrize(
    "url",
    [
        f"postgresql://palaver:{PASSWORD}@127.0.0.1:1/palaver",
        f"postgresql://palaver:{PASSWORD}@/palaver?host=/nowhere",
        f"postgresql://palaver:{PASSWORD}@127.0.0.1:notaport/palaver",
        f"mysql://palaver:{PASSWORD}@127.0.0.1/palaver",
        f"{PASSWORD}",
    ],
    ids=["nobody listens", "no socket", "no port", "another database", "no address"],
)
async def test_address_that_leads_nowhere_is_refused_without_its_password(tmp_path: Path, url: str) -> None:
    error = await refuse(StoreOptions(tmp_path, url))
    assert str(error) == "the database does not answer"
    assert PASSWORD not in "".join(traceback.format_exception(error))


async def test_password_that_is_refused_is_not_told(tmp_path: Path, postgres_url: str) -> None:
    elsewhere = postgres_url.replace("postgres@", f"nobody:{PASSWORD}@")
    error = await refuse(StoreOptions(tmp_path, elsewhere))
    assert PASSWORD not in "".join(traceback.format_exception(error))


def test_options_do_not_show_their_address() -> None:
    shown = repr(StoreOptions(Path("data"), f"postgresql://palaver:{PASSWORD}@db/palaver"))
    assert shown == "StoreOptions(postgres)"


async def test_data_folder_that_is_a_file_is_named(tmp_path: Path) -> None:
    taken = tmp_path / "taken"
    taken.write_text("")
    error = await refuse(StoreOptions(taken))
    assert str(error).startswith(f"the data folder {taken} cannot be used: ")


async def test_file_that_is_no_database_is_refused(tmp_path: Path) -> None:
    (tmp_path / "palaver.sqlite3").write_bytes(b"This is a diary.\n" * 1000)
    error = await refuse(StoreOptions(tmp_path))
    assert str(error).startswith(f"the data folder {tmp_path} cannot be used: ")


async def test_database_that_goes_away_is_unavailable_and_tells_no_password(tmp_path: Path, postgres_url: str) -> None:
    url = postgres_url.replace("postgres@", f"postgres:{PASSWORD}@")
    async with open_store(StoreOptions(tmp_path, url)) as store:
        await store.check()
        await store.database.close()
        with pytest.raises(StoreUnavailable) as refused:
            await store.check()
    assert PASSWORD not in "".join(traceback.format_exception(refused.value))
