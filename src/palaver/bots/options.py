"""What the bots can be told. Settings are read elsewhere; here they arrive checked and in one piece."""

from msgspec import Struct

from palaver.bots.discovery import USUAL_PORTS
from palaver.chat.server import NamedServer

OPENAI_URL = "https://api.openai.com/v1"

# The defaults where none is named: of a server that the operator runs, and of OpenAI.
LOCAL_MODEL = "qwen3:8b"
OPENAI_MODELS = ("gpt-4.1-mini", "gpt-5-nano")

# Sessions may name these whatever is offered: clients of chat_flow have them built in.
ALWAYS_KNOWN = frozenset(OPENAI_MODELS)

_SECRETS = ("llm_server_url", "llm_server_key", "openai_api_key")


class BotOptions(Struct, frozen=True, kw_only=True):
    """Which servers answer, and who answers where nobody is named.

    A server at `llm_server_url` is asked with `llm_server_key`; only without one is OpenAI asked, with its own key,
    which no other server ever gets. Beside it come `servers`. With none of these, `discover_ports` of this machine are
    looked at. `patience`: how long a server may be silent before its first piece while there are others to ask.
    """

    llm_server_url: str | None = None
    llm_server_key: str | None = None
    openai_api_key: str | None = None
    openai_base_url: str = OPENAI_URL
    servers: tuple[NamedServer, ...] = ()
    default_provider: str = "auto"
    default_model: str | None = None
    discover_ports: tuple[int, ...] = USUAL_PORTS
    own_port: int | None = None
    tries: int = 3
    patience: float = 15.0

    def __repr__(self) -> str:
        """Without keys, and without a URL that may hold one."""
        shown = {
            name: "(set)" if name in _SECRETS and getattr(self, name) else getattr(self, name)
            for name in self.__struct_fields__
        }
        return f"BotOptions({', '.join(f'{name}={value!r}' for name, value in shown.items())})"
