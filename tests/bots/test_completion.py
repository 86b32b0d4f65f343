import msgspec

from palaver.bots.completion import encode_completion, read_refused_field, to_completion
from palaver.chat.conversation import Past, Speaking
from palaver.chat.pieces import Prompt

HISTORY = (Past(1, "user", "Name a river.", 4), Past(2, "assistant", "The Loire.", 3))
ALL = Speaking(temperature=0.9, max_tokens=50, presence_penalty=0.6, frequency_penalty=0.5)


def encode(prompt: Prompt, *left_out: str) -> object:
    return msgspec.json.decode(encode_completion(to_completion(prompt, "gpt-4"), frozenset(left_out)))


def refused(text: str, speaking: Speaking = ALL, *left_out: str) -> str | None:
    completion = to_completion(Prompt(message="Hello", speaking=speaking), "gpt-5-nano")
    return read_refused_field(completion, frozenset(left_out), text)


def test_sends_system_history_and_message_in_this_order() -> None:
    assert encode(Prompt(message="Another?", system="You know rivers.", history=HISTORY)) == {
        "model": "gpt-4",
        "messages": [
            {"role": "system", "content": "You know rivers."},
            {"role": "user", "content": "Name a river."},
            {"role": "assistant", "content": "The Loire."},
            {"role": "user", "content": "Another?"},
        ],
        "stream": True,
        "stream_options": {"include_usage": True},
    }


def test_sends_settings_that_are_set_even_where_they_are_zero() -> None:
    body = encode(Prompt(message="Hello", speaking=Speaking(temperature=0, max_tokens=50, presence_penalty=0.0)))
    assert body == {
        "model": "gpt-4",
        "messages": [{"role": "user", "content": "Hello"}],
        "stream": True,
        "stream_options": {"include_usage": True},
        "temperature": 0,
        "max_tokens": 50,
        "presence_penalty": 0.0,
    }


def test_field_left_out_is_not_sent() -> None:
    assert encode(Prompt(message="Hello"), "stream_options", "temperature") == {
        "model": "gpt-4",
        "messages": [{"role": "user", "content": "Hello"}],
        "stream": True,
    }


def test_max_tokens_is_sent_by_its_newer_name_where_the_older_is_refused() -> None:
    body = encode(Prompt(message="Hello", speaking=Speaking(max_tokens=50)), "max_tokens", "stream_options")
    assert body == {
        "model": "gpt-4",
        "messages": [{"role": "user", "content": "Hello"}],
        "stream": True,
        "max_completion_tokens": 50,
    }


def test_refusal_in_whatever_words_is_tried_without_stream_options() -> None:
    assert refused("Unrecognized request argument supplied: stream_options") == "stream_options"
    assert refused('{"error":{"message":"no","param":null,"code":null}}') == "stream_options"
    assert refused('{"error":{"message":"no","param":"stream_options.include_usage"}}') == "stream_options"
    assert refused('{"error":"no"}') == "stream_options"


def test_field_that_a_model_does_not_take_is_named_by_the_vendor() -> None:
    assert refused('{"error":{"param":"max_tokens","code":"unsupported_parameter"}}') == "max_tokens"
    assert refused('{"error":{"param":"temperature","code":"unsupported_value"}}') == "temperature"


def test_refusal_that_nothing_helps_against_is_final() -> None:
    assert refused('{"error":{"param":"messages","code":"context_length_exceeded"}}') is None
    assert refused('{"error":{"param":"messages","code":"unsupported_value"}}') is None
    assert refused('{"error":{"param":"tools","code":"unsupported_parameter"}}') is None
    assert refused("no", ALL, "stream_options") is None
    assert refused('{"error":{"param":"temperature","code":"unsupported_value"}}', Speaking()) is None
    assert refused('{"error":{"param":"temperature","code":"unsupported_value"}}', ALL, "temperature") is None
