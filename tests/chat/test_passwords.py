"""How passwords are hashed."""

from argon2 import extract_parameters

from palaver.chat.accounts import AccountRules
from palaver.chat.passwords import Passwords


async def test_password_takes_the_memory_that_is_set_and_64_mebibytes_by_itself() -> None:
    usual = extract_parameters(await Passwords(AccountRules().password_mebibytes).hash("a password"))
    assert (usual.type.name, usual.memory_cost, usual.time_cost, usual.parallelism) == ("ID", 64 * 1024, 3, 4)
    small = extract_parameters(await Passwords(8).hash("a password"))
    assert small.memory_cost == 8 * 1024


async def test_password_that_was_hashed_with_other_memory_still_matches() -> None:
    kept = await Passwords(8).hash("a password")
    assert await Passwords(16).verify(kept, "a password")
    assert not await Passwords(16).verify(kept, "another")
