"""Users, applications and tokens, on each of the stores."""

import json
import os
from uuid import UUID

import pytest

from tests.cli.conftest import Command


def test_user_is_added_with_a_link_that_signs_in(palaver: Command) -> None:
    done = palaver("user", "add", "ana", "--full-name", "Ana Müller", PALAVER_PUBLIC_URL="https://chat.example.org")
    assert done.code == 0
    assert done.link.startswith("https://chat.example.org/sign-in/")
    assert palaver("user", "list").rows[0][:5] == ["ana", "-", "Ana", "Müller", "user"]


def test_user_who_is_added_with_a_password_needs_no_link(palaver: Command) -> None:
    done = palaver("user", "add", "ana", "--admin", "--password-stdin", stdin="a long password\n")
    assert (done.code, done.out) == (0, "The admin ana is added.\n")


def test_what_becomes_of_an_account_is_told_where_no_terminal_shows_it(palaver: Command) -> None:
    steps = (("add", "ana", "--admin"), ("link", "ana"), ("disable", "ana"), ("enable", "ana"), ("erase", "ana"))
    told = [palaver("user", *step, PALAVER_LOG_FORMAT="json").err for step in steps]
    lines = [json.loads(line) for line in "".join(told).splitlines()]
    assert [line["event"] for line in lines] == [
        "account_made", "admin_made", "link_made", "link_made", "account_disabled", "account_enabled", "account_erased",
    ]  # fmt: skip
    assert {(line["logger"], line["name"], len(line["user"])) for line in lines} == {("palaver.security", "ana", 36)}
    palaver("app", "add", "shop")
    made = palaver("token", "create", "--app", "shop")
    assert made.err.splitlines()[0].endswith(" name=shop")
    assert made.out.strip() not in made.err


@pytest.mark.parametrize("password", ["", "short", "x" * 129])
def test_password_that_is_too_short_or_too_long_adds_nobody(palaver: Command, password: str) -> None:
    done = palaver("user", "add", "ana", "--password-stdin", stdin=f"{password}\n")
    assert (done.code, done.err) == (1, "A password has 8 to 128 characters.\n")
    assert palaver("user", "list").rows == []


def test_user_is_found_by_name_and_by_email_whatever_the_case(palaver: Command) -> None:
    palaver("user", "add", "ana", "--email", "ana@example.org")
    palaver("user", "add", "Bob@example.org")
    for name in ("ANA", "Ana@Example.org", "bob@example.org"):
        assert palaver("user", "link", name).code == 0
    assert [row[:2] for row in palaver("user", "list").rows] == [
        ["ana", "ana@example.org"],
        ["Bob@example.org", "Bob@example.org"],
    ]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("ANA",), "That name is taken."),
        (("bob", "--email", "ana@example.org"), "That e-mail belongs to somebody else already."),
        (("a b",), "A user name has 1 to 50 letters, digits or characters of . _ + -"),
        (("bob", "--email", "nowhere"), "That is no e-mail address."),
    ],
)
def test_user_who_cannot_be_added_is_refused_in_a_sentence(
    palaver: Command, arguments: tuple[str, ...], said: str
) -> None:
    palaver("user", "add", "ana", "--email", "ana@example.org")
    done = palaver("user", "add", *arguments)
    assert (done.code, done.out, done.err) == (1, "", f"{said}\n")


@pytest.mark.parametrize(
    "command",
    [
        ("user", "link", "nobody"),
        ("user", "disable", "nobody"),
        ("user", "enable", "nobody"),
        ("user", "erase", "nobody"),
        ("token", "create", "--user", "nobody"),
        ("token", "list", "--user", "nobody"),
        ("app", "disable", "nobody"),
        ("app", "enable", "nobody"),
        ("token", "create", "--app", "nobody"),
    ],
)
def test_name_that_nobody_has_is_said_to_be_nobodys(palaver: Command, command: tuple[str, ...]) -> None:
    done = palaver(*command)
    assert (done.code, done.out) == (1, "")
    assert done.err.startswith(("There is no user 'nobody'.", "There is no application 'nobody'."))


def test_user_who_is_disabled_gets_no_link_and_no_token_until_enabled(palaver: Command) -> None:
    palaver("user", "add", "ana")
    assert palaver("user", "disable", "ana").out == "ana is disabled.\n"
    assert palaver("user", "list").rows[0][3:5] == ["user,", "disabled"]
    assert palaver("user", "link", "ana").code == 1
    assert palaver("token", "create", "--user", "ana").code == 1
    palaver("user", "enable", "ana")
    assert palaver("user", "link", "ana").code == 0


def test_user_who_is_erased_leaves_nothing_and_frees_the_name(palaver: Command) -> None:
    palaver("user", "add", "ana", "--email", "ana@example.org")
    palaver("token", "create", "--user", "ana")
    assert palaver("user", "erase", "ana").out == "ana is erased, with all that was theirs.\n"
    assert palaver("user", "list").rows == []
    assert palaver("token", "revoke", "1").code == 1
    assert palaver("user", "add", "ana", "--email", "ana@example.org").code == 0


@pytest.mark.parametrize(
    ("answer", "options", "left"), [(b"n\n", (), [["ana"]]), (b"y\n", (), []), (b"", ("--yes",), [])]
)
def test_erasing_is_asked_about_at_a_terminal(
    embedded: Command, answer: bytes, options: tuple[str, ...], left: list[list[str]]
) -> None:
    embedded("user", "add", "ana")
    terminal, its_end = os.openpty()
    os.write(terminal, answer)
    done = embedded("user", "erase", "ana", *options, stdin=its_end)
    os.close(its_end)
    os.close(terminal)
    assert [row[:1] for row in embedded("user", "list").rows] == left
    assert done.code == len(left)


def test_token_is_all_that_is_printed_to_standard_output(palaver: Command) -> None:
    palaver("user", "add", "ana")
    done = palaver("token", "create", "--user", "ana")
    assert done.code == 0
    assert len(done.out.strip()) >= 20
    assert done.out == f"{done.out.strip()}\n"
    assert done.out.strip() not in palaver("token", "list", "--user", "ana").out


def test_tokens_are_listed_with_what_they_are_for_and_how_long_they_live(palaver: Command) -> None:
    palaver("user", "add", "ana", "--password-stdin", stdin="a long password\n")
    palaver("token", "create", "--user", "ana", "--label", "laptop", "--days", "2")
    palaver("token", "create", "--user", "ana", "--days", "0.00000001")
    palaver("token", "create", "--user", "ana")
    assert [row[:3] for row in palaver("token", "list", "--user", "ana").rows] == [
        ["1", "laptop", "valid"],
        ["2", "-", "expired"],
        ["3", "-", "valid"],
    ]


def test_token_is_revoked_once(palaver: Command) -> None:
    palaver("app", "add", "shop")
    palaver("token", "create", "--app", "shop")
    assert palaver("token", "revoke", "1").out == "Token 1 is revoked.\n"
    assert palaver("token", "list", "--app", "shop").rows[0][2] == "revoked"
    done = palaver("token", "revoke", "1")
    assert (done.code, done.err) == (1, "There is no token 1, or it was revoked before.\n")


@pytest.mark.parametrize("owners", [(), ("--user", "ana", "--app", "shop")])
def test_token_has_one_owner(palaver: Command, owners: tuple[str, ...]) -> None:
    assert palaver("token", "create", *owners).code == 2


@pytest.mark.parametrize("days", ["0", "-1", "nan", "1e9", "soon"])
def test_token_lives_for_a_time_that_makes_sense(palaver: Command, days: str) -> None:
    palaver("user", "add", "ana")
    assert palaver("token", "create", "--user", "ana", "--days", days).code == 2


def test_lists_tell_the_uuids_by_which_limits_are_given(palaver: Command) -> None:
    palaver("user", "add", "ana")
    palaver("app", "add", "shop")
    for kind in ("user", "app"):
        [row] = palaver(kind, "list").rows
        assert str(UUID(row[-1])) == row[-1]


def test_application_has_a_name_of_its_own_and_can_be_disabled(palaver: Command) -> None:
    palaver("user", "add", "shop")
    assert palaver("app", "add", "shop").code == 0
    assert palaver("app", "add", "Shop").err == "That name is taken.\n"
    palaver("app", "disable", "shop")
    assert [row[:2] for row in palaver("app", "list").rows] == [["shop", "disabled"]]
    assert palaver("token", "create", "--app", "shop").code == 1
    palaver("app", "enable", "shop")
    assert palaver("token", "create", "--app", "shop").code == 0


@pytest.mark.parametrize("name", ["\udcff", "a\x1b[2J"])
def test_name_that_no_database_takes_is_refused(palaver: Command, name: str) -> None:
    assert palaver("user", "add", "ana", "--full-name", name).code == 2
    assert palaver("user", "link", name).code == 2
