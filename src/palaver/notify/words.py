"""What is said to people by channels that show our words as they are: mail, and phones by FCM."""

from palaver.chat.ports import Notice

_LANGUAGES = ("en", "de", "it")

# {who}: who wrote, or the title of the conversation.
_WORDS: dict[str, tuple[str, str, str]] = {
    "message": ("New message from {who}", "Neue Nachricht von {who}", "Nuovo messaggio da {who}"),
    "group": ("New message in {who}", "Neue Nachricht in {who}", "Nuovo messaggio in {who}"),
    "mention": ("You were mentioned in {who}", "Erwähnung in {who}", "Sei stato menzionato in {who}"),
    "reply": ("The reply in {who} is there", "Die Antwort in {who} ist da", "La risposta in {who} è pronta"),
    "open": ("Open the conversation:", "Zur Unterhaltung:", "Apri la conversazione:"),
    "unread": ("Unread messages: {who}", "Ungelesene Nachrichten: {who}", "Messaggi non letti: {who}"),
    "why": (
        "You get this because mail about messages is switched on in your settings. You can switch it off there.",
        "Diese Mail kommt, weil Mails über Nachrichten in den Einstellungen eingeschaltet sind. Dort lassen sie sich "
        "ausschalten.",
        "Ricevi questa mail perché le mail sui messaggi sono attive nelle tue impostazioni. Lì puoi disattivarle.",
    ),
}


def word(key: str, language: str, who: str = "") -> str:
    place = _LANGUAGES.index(language) if language in _LANGUAGES else 0
    return _WORDS[key][place].format(who=who)


def say_what_happened(notice: Notice) -> str:
    """One line that tells nothing of what was said."""
    key = "group" if notice.kind == "message" and notice.conversation_kind == "group" else notice.kind
    return word(key, notice.language, notice.title)


def shorten(text: str, longest: int) -> str:
    return text if len(text) <= longest else text[: max(0, longest - 1)] + "…"
