"""Settings have one range each, whatever API takes them: none lets in what the core would refuse."""

import ast
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

import palaver.api
from palaver.api import speaking
from palaver.api.fields import Field, Kind, Number, Problem, Whole
from palaver.app import operations
from palaver.chat import ranges
from palaver.chat.conversation import ConversationChange, Speaking
from palaver.chat.errors import Invalid
from palaver.chat.preset import PresetChange
from palaver.chat.ranges import RANGES, Range, check_ranges
from palaver.settings import SETTINGS

KINDS: dict[str, Kind[float]] = {
    "temperature": speaking.TEMPERATURE,
    "max_tokens": speaking.MAX_TOKENS,
    "presence_penalty": speaking.PENALTY,
    "frequency_penalty": speaking.PENALTY,
    "window": speaking.WINDOW,
    "token_budget": speaking.TOKEN_BUDGET,
}

NUMBERS = st.one_of(
    st.integers(-(2**70), 2**70),
    st.floats(allow_nan=False, allow_infinity=False),
    st.sampled_from([edge + step for one in RANGES.values() for edge in (one.least, one.most) for step in (-1, 0, 1)]),
)

TAKEN: list[tuple[str, str, Field[object]]] = [
    (f"{operation.method} {operation.path}", name, field)
    for operation in operations()
    if operation.body is not None
    for name, field in operation.body.fields.items()
    if name in RANGES
]


def takes(kind: Kind[float], value: float) -> bool:
    try:
        kind.read(value)
    except Problem:
        return False
    return True


def keeps(settings: Speaking | ConversationChange | PresetChange) -> bool:
    try:
        check_ranges(settings)
    except Invalid:
        return False
    return True


@pytest.mark.parametrize("name", RANGES)
@pytest.mark.proof("bots")
@given(value=NUMBERS)
def test_apis_take_and_the_core_keeps_exactly_what_is_in_range(name: str, value: float) -> None:
    kind = KINDS[name]
    assert takes(kind, value) == (RANGES[name].holds(value) and (isinstance(kind, Number) or value == int(value)))
    for settings in (Speaking(), ConversationChange(), PresetChange()):
        assert keeps(replace(settings, **{name: value})) == RANGES[name].holds(value)


@pytest.mark.proof("bots")
@given(least=st.floats(-5, 5), most=st.floats(-5, 5))
def test_part_of_a_range_is_never_more_than_it(least: float, most: float) -> None:
    whole = Range(-2, 2)
    inside = -2 <= least <= most <= 2
    if inside:
        assert whole.within(least, most) == Range(least, most)
    else:
        with pytest.raises(ValueError, match="not within"):
            whole.within(least, most)


@pytest.mark.parametrize(("operation", "name", "field"), TAKEN, ids=[f"{path} {name}" for path, name, _ in TAKEN])
def test_no_operation_takes_a_setting_out_of_its_range(operation: str, name: str, field: Field[object]) -> None:
    assert isinstance(field.kind, Number | Whole), operation
    assert RANGES[name].holds(field.kind.at_least)
    assert RANGES[name].holds(field.kind.at_most)


def test_settings_are_taken_by_every_api_that_has_them() -> None:
    apis = {path.split(" ")[1].split("/")[1] + "/" + path.split("/")[2] for path, _, _ in TAKEN}
    assert apis == {"ai-chat/api", "api/chat", "api/v1"}
    assert {name for _, name, _ in TAKEN} == set(RANGES)


def test_no_api_has_numbers_of_its_own_for_what_the_core_has_ranges_for() -> None:
    """Numbers are made of ranges alone: `Number(0, 2)` in an API would be a second place. Of servers, which no preset
    knows, there is one place alone, and so for how long a token of one's own is good."""
    own = set()
    for file in Path(palaver.api.__path__[0]).rglob("*.py"):
        calls = (node for node in ast.walk(ast.parse(file.read_text())) if isinstance(node, ast.Call))
        own |= {file.name for call in calls if isinstance(call.func, ast.Name) and call.func.id == "Number"}
    assert own == {"speaking.py", "admin_servers.py", "account.py"}


def test_servers_own_temperature_has_the_range_of_all() -> None:
    kind = SETTINGS["llm_temperature"].kind
    assert (kind.parse(str(ranges.TEMPERATURE.least)), kind.parse(str(ranges.TEMPERATURE.most))) == (0, 2)
    with pytest.raises(ValueError, match=r"^$"):
        kind.parse(str(ranges.TEMPERATURE.most + 0.1))
