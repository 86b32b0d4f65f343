"""How many tokens a bot is going to read, about: counted without reading them."""

from palaver.chat.context import TOKENS_AROUND

# Of a conversation: from one number on, before another, and at most so many messages.
_PAST = (
    f"(SELECT COALESCE(SUM(past.token_count + {TOKENS_AROUND}), 0) FROM (SELECT token_count FROM messages "
    "WHERE conversation_id = $1 AND number >= $2 AND number < $3 AND in_view "
    "AND role IN ('user', 'assistant') AND status IN ('complete', 'stopped', 'interrupted') "
    "ORDER BY number DESC LIMIT $4) AS past)"
)
# As `count_tokens` does, and rather more: a character that is not of ASCII may be a token.
_TEXT = (
    "COALESCE(CASE WHEN OCTET_LENGTH({text}) = LENGTH({text}) THEN LENGTH({text}) / 4 "
    f"ELSE OCTET_LENGTH({{text}}) / 3 END + 1 + {TOKENS_AROUND}, 0)"
)
# System prompt and summary.
_STANDING = (
    f"(SELECT {_TEXT.format(text='t.text')} + "
    f"CASE WHEN c.summary_to > 0 THEN {_TEXT.format(text='c.summary')} ELSE 0 END "
    "FROM conversations c LEFT JOIN texts t ON t.id = c.prompt_id WHERE c.id = $1)"
)
# The past, and what stands before it.
PROMPT_SIZE = f"SELECT CAST({_PAST} AS BIGINT), CAST({_STANDING} AS BIGINT)"
