import msgspec
import pytest

from palaver.bots.completion import encode_completion, read_refused_field, to_completion
from palaver.chat.conversation import Past, Speaking
from palaver.chat.pieces import Prompt

HISTORY = (Past(1, "user", "Name a river.", 4), Past(2, "assistant", "The Loire.", 3))
ALL = Speaking(temperature=0.9, max_tokens=50, presence_penalty=0.6, frequency_penalty=0.5)


def encode(prompt: Prompt, *left_out: str) -> object:
    return msgspec.json.decode(encode_completion(to_completion(prompt, "gpt-4"), frozenset(left_out)))


def refused(text: str, speaking: Speaking = ALL, *left_out: str, cache_key: str | None = None) -> str | None:
    completion = to_completion(Prompt(message="Hello", speaking=speaking, cache_key=cache_key), "gpt-5-nano")
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


def test_what_stays_the_same_goes_first_and_what_is_true_of_one_turn_goes_with_its_message() -> None:
    prompt = Prompt(
        message="Another?",
        system="You know rivers.",
        summary="They like France.",
        history=HISTORY,
        volatile="It is Monday.",
        cache_key="4f2a",
    )
    assert encode(prompt) == {
        "model": "gpt-4",
        "messages": [
            {
                "role": "system",
                "content": "You know rivers.\n\nWhat was said before, summarised:\nThey like France.",
            },
            {"role": "user", "content": "Name a river."},
            {"role": "assistant", "content": "The Loire."},
            {"role": "user", "content": "It is Monday.\n\nAnother?"},
        ],
        "stream": True,
        "stream_options": {"include_usage": True},
        "prompt_cache_key": "4f2a",
    }


def test_summary_stands_at_the_front_without_a_system_prompt_too() -> None:
    completion = to_completion(Prompt(message="Another?", summary="They like France."), "gpt-4")
    assert [(message.role, message.content) for message in completion.messages] == [
        ("system", "What was said before, summarised:\nThey like France."),
        ("user", "Another?"),
    ]


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


@pytest.mark.parametrize(
    "text",
    [
        '{"error":{"message":"Unknown parameter","param":"prompt_cache_key","code":"unknown_parameter"}}',
        '{"error":{"message":"no","param":"prompt_cache_key","code":null}}',
        '{"error":{"message":"Unrecognized request argument supplied: prompt_cache_key","param":null,"code":null}}',
        '{"object":"error","message":{"detail":[{"type":"extra_forbidden","loc":["body","prompt_cache_key"]}]}}',
        '{"detail":[{"type":"extra_forbidden","loc":["body","prompt_cache_key"],"msg":"Extra inputs"}]}',
        '{"error":"property \'prompt_cache_key\' is unsupported"}',
        "Bad Request",
    ],
)
def test_server_that_refuses_the_cache_key_in_whatever_words_is_asked_without_it(text: str) -> None:
    assert refused(text, cache_key="4f2a") == "prompt_cache_key"
    # In words that name nothing it may have been the other one.
    assert refused("Bad Request", ALL, "prompt_cache_key", cache_key="4f2a") == "stream_options"
    assert refused("Bad Request", ALL, "prompt_cache_key", "stream_options", cache_key="4f2a") is None


def test_refusal_that_names_the_other_one_leaves_the_cache_key() -> None:
    text = "Unrecognized request argument supplied: stream_options"
    assert refused(text, cache_key="4f2a") == "stream_options"
    assert refused('{"error":{"param":"messages","code":"context_length_exceeded"}}', cache_key="4f2a") is None


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
