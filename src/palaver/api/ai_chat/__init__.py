"""ai_chat: sessions over REST. DRF style, UUIDs, bare bodies, and a slash at the end of every path."""
