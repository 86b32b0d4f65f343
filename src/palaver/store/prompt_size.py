"""How many tokens a bot is going to read, about: counted without reading them."""

from palaver.chat.context import TOKENS_AROUND

# As `count_tokens` does, and rather more: a character that is not of ASCII may be a token.
_TOKENS = (
    "CASE WHEN OCTET_LENGTH({text}) = LENGTH({text}) THEN LENGTH({text}) / 4 ELSE OCTET_LENGTH({text}) / 3 END + 1"
)
_TEXT = f"COALESCE({_TOKENS} + {TOKENS_AROUND}, 0)"
# Among people a bot reads before each message who said it (`store/people/history.py`).
_OF_NAME = _TOKENS.format(text="(s.name || ': ')")
_NAME = (
    "CASE WHEN m.role = 'user' AND (SELECT kind <> 'bot' FROM conversations WHERE id = $1) "
    f"THEN COALESCE((SELECT {_OF_NAME} FROM users s WHERE s.id = m.sender_id), 0) "
    "ELSE 0 END"
)
# Of a conversation: from one number on, before another, and at most so many messages.
_PAST = (
    f"(SELECT COALESCE(SUM(past.tokens + {TOKENS_AROUND}), 0) FROM ("
    f"SELECT COALESCE(m.token_count, 0) + {_NAME} AS tokens FROM messages m "
    "WHERE m.conversation_id = $1 AND m.number >= $2 AND m.number < $3 AND m.in_view "
    "AND m.role IN ('user', 'assistant') AND m.status IN ('complete', 'stopped', 'interrupted') "
    "ORDER BY m.number DESC LIMIT $4) AS past)"
)
# System prompt and summary.
_STANDING = (
    f"(SELECT {_TEXT.format(text='t.text')} + "
    f"CASE WHEN c.summary_to > 0 THEN {_TEXT.format(text='c.summary')} ELSE 0 END "
    "FROM conversations c LEFT JOIN texts t ON t.id = c.prompt_id WHERE c.id = $1)"
)
# The past, and what stands before it.
PROMPT_SIZE = f"SELECT CAST({_PAST} AS BIGINT), CAST({_STANDING} AS BIGINT)"
