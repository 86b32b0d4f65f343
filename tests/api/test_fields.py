"""What a request holds is read, or refused with a problem; never is it an error of ours."""

import pytest

from palaver.api.fields import Body, Invalid, Number, Text, Whole, omittable, optional, required


class Measured(Body):
    share = required(Number(0, 2))


class Named(Body):
    name = omittable(Text(at_least=1))
    nickname = optional(Text(at_least=1))


def problem(body: type[Body], payload: dict[str, object]) -> tuple[str, str]:
    with pytest.raises(Invalid) as caught:
        body.read(payload)
    (first,) = caught.value.problems
    return first.name, first.reason


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        (10**400, "too_big"),
        (-(10**400), "too_small"),
        (float("inf"), "float_type"),
        (float("nan"), "float_type"),
        (True, "float_type"),
    ],
)
def test_number_that_no_float_can_hold_is_a_problem(value: object, reason: str) -> None:
    assert problem(Measured, {"share": value}) == ("share", reason)


def test_number_is_read_from_what_people_write() -> None:
    assert [Measured.read({"share": value}).share for value in (1, 0.5, "1.5")] == [1.0, 0.5, 1.5]


@pytest.mark.parametrize("value", [10**400, -(10**400)])
def test_whole_number_out_of_range_is_a_problem(value: object) -> None:
    with pytest.raises(Exception, match="too_"):
        Whole().read(value)


def test_field_that_may_only_be_absent_refuses_null() -> None:
    assert Named.read({}).name is None
    assert Named.read({"nickname": None}).nickname is None
    assert problem(Named, {"name": None}) == ("name", "null")


def test_field_that_refuses_null_is_described_without_it() -> None:
    described = Named.schema()
    assert described["properties"]["name"] == {"type": "string", "minLength": 1}
    assert {"type": "null"} in described["properties"]["nickname"]["anyOf"]
    assert "required" not in described
