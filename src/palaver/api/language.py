"""Which language a person reads, and every text for people that more than one API says."""

from functools import lru_cache
from typing import Literal

Language = Literal["en", "de", "it"]
LANGUAGES: tuple[Language, ...] = ("en", "de", "it")

TEXTS: dict[str, tuple[str, str, str]] = {
    "unauthenticated": (
        "Sign in first: no valid credentials were sent.",
        "Bitte zuerst anmelden: Es wurden keine gültigen Zugangsdaten gesendet.",
        "Accedi prima: non sono state inviate credenziali valide.",
    ),
    "wrong_pair": (
        "Unable to sign in with these credentials.",
        "Mit diesen Zugangsdaten ist keine Anmeldung möglich.",
        "Impossibile accedere con queste credenziali.",
    ),
    "forbidden": (
        "You may not do this.",
        "Dazu fehlt die Berechtigung.",
        "Non hai il permesso di farlo.",
    ),
    "cross_site": (
        "This request came from another site and was refused.",
        "Diese Anfrage kam von einer anderen Seite und wurde abgelehnt.",
        "Questa richiesta proviene da un altro sito ed è stata rifiutata.",
    ),
    "csrf": (
        "The CSRF token is missing or wrong. Reload the page and try again.",
        "Das CSRF-Token fehlt oder ist falsch. Bitte die Seite neu laden.",
        "Il token CSRF manca o è errato. Ricarica la pagina e riprova.",
    ),
    "closed": (
        "Registration is closed on this server.",
        "Die Registrierung ist auf diesem Server geschlossen.",
        "La registrazione è chiusa su questo server.",
    ),
    "not_found": ("Not found.", "Nicht gefunden.", "Non trovato."),
    "conflict": (
        "This client message id was used before with another text.",
        "Diese Nachrichten-Kennung wurde schon mit einem anderen Text verwendet.",
        "Questo identificativo è già stato usato con un altro testo.",
    ),
    "ended": (
        "This conversation has ended.",
        "Dieses Gespräch ist beendet.",
        "Questa conversazione è terminata.",
    ),
    "busy": (
        "The assistant is still answering. Wait for the answer or stop it.",
        "Der Assistent antwortet noch. Bitte die Antwort abwarten oder anhalten.",
        "L'assistente sta ancora rispondendo. Attendi la risposta o fermala.",
    ),
    "too_large": (
        "The request is too large.",
        "Die Anfrage ist zu groß.",
        "La richiesta è troppo grande.",
    ),
    "over_budget": (
        "Your allowance is used up for now. Try again later.",
        "Das Kontingent ist vorerst aufgebraucht. Bitte später erneut versuchen.",
        "La quota disponibile è esaurita per ora. Riprova più tardi.",
    ),
    "rate_limited": (
        "Too many attempts. Try again later.",
        "Zu viele Versuche. Bitte später erneut versuchen.",
        "Troppi tentativi. Riprova più tardi.",
    ),
    "bot_unavailable": (
        "The assistant cannot answer just now. Please try again.",
        "Der Assistent kann gerade nicht antworten. Bitte erneut versuchen.",
        "L'assistente non può rispondere in questo momento. Riprova.",
    ),
    "apology": (
        "Sorry, I cannot answer just now. Please try again in a moment.",
        "Entschuldigung, ich kann gerade nicht antworten. Bitte versuche es gleich noch einmal.",
        "Mi dispiace, in questo momento non riesco a rispondere. Riprova tra poco.",
    ),
    "reason_unavailable": (
        "the model cannot be reached just now",
        "das Modell ist gerade nicht erreichbar",
        "il modello non è raggiungibile",
    ),
    "reason_timeout": (
        "the model took too long to answer",
        "das Modell hat zu lange nicht geantwortet",
        "il modello ha impiegato troppo tempo",
    ),
    "reason_refused": (
        "the model server refused the request",
        "der Modell-Server hat die Anfrage abgelehnt",
        "il server del modello ha rifiutato la richiesta",
    ),
    "reason_empty": (
        "the model said nothing",
        "das Modell hat nichts gesagt",
        "il modello non ha detto nulla",
    ),
    "reason_interrupted": (
        "the answer broke off",
        "die Antwort ist abgebrochen",
        "la risposta si è interrotta",
    ),
    "models_untold": (
        "The model server does not tell its models just now. Nothing has changed.",
        "Der Modell-Server nennt gerade keine Modelle. Es hat sich nichts geändert.",
        "Il server dei modelli al momento non comunica i suoi modelli. Nulla è cambiato.",
    ),
    "models_synced": (
        "Models available now: {count}.",
        "Jetzt verfügbare Modelle: {count}.",
        "Modelli ora disponibili: {count}.",
    ),
    "draining": (
        "The server is restarting. Try again in a moment.",
        "Der Server startet neu. Bitte gleich erneut versuchen.",
        "Il server si sta riavviando. Riprova tra poco.",
    ),
    "store_unavailable": (
        "The server cannot reach its data just now. Try again in a moment.",
        "Der Server erreicht seine Daten gerade nicht. Bitte gleich erneut versuchen.",
        "Il server non raggiunge i suoi dati in questo momento. Riprova tra poco.",
    ),
    "link_gone": (
        "This sign-in link has been used, is too old, or never was. Ask for a new one: palaver user link NAME",
        "Dieser Anmelde-Link wurde schon benutzt, ist zu alt oder unbekannt. Ein neuer: palaver user link NAME",
        "Questo link di accesso è già stato usato, è scaduto o non esiste. Uno nuovo: palaver user link NAME",
    ),
    "bad_json": (
        "The body is not a JSON object.",
        "Der Inhalt ist kein JSON-Objekt.",
        "Il corpo non è un oggetto JSON.",
    ),
    "media_type": (
        "Send the body as application/json.",
        "Bitte den Inhalt als application/json senden.",
        "Invia il corpo come application/json.",
    ),
    "invalid_data": ("Invalid data", "Ungültige Daten", "Dati non validi"),
    "not_running": (
        "No answer is being written just now.",
        "Gerade wird keine Antwort geschrieben.",
        "In questo momento non si sta scrivendo nessuna risposta.",
    ),
    "internal": ("Internal server error", "Internal server error", "Internal server error"),
    "built_in": (
        "This one belongs to the server and cannot be deleted.",
        "Das gehört zum Server und kann nicht gelöscht werden.",
        "Appartiene al server e non può essere eliminato.",
    ),
    "default_kept": (
        "A default personality cannot be deleted.",
        "Eine Standard-Persönlichkeit kann nicht gelöscht werden.",
        "Una personalità predefinita non può essere eliminata.",
    ),
    "visibility_kept": (
        "This one belongs to the server and stays as visible as it is.",
        "Das gehört zum Server und bleibt so sichtbar, wie es ist.",
        "Appartiene al server e la sua visibilità non cambia.",
    ),
    "missing": ("This field is required.", "Dieses Feld ist erforderlich.", "Questo campo è obbligatorio."),
    "blank": (
        "This field may not be blank.",
        "Dieses Feld darf nicht leer sein.",
        "Questo campo non può essere vuoto.",
    ),
    "null": ("This field may not be null.", "Dieses Feld darf nicht null sein.", "Questo campo non può essere nullo."),
    "string_type": ("Must be a string.", "Muss eine Zeichenkette sein.", "Deve essere una stringa."),
    "string_characters": (
        "Contains characters that are not allowed.",
        "Enthält unerlaubte Zeichen.",
        "Contiene caratteri non ammessi.",
    ),
    "string_too_short": (
        "Must have at least {at_least} characters.",
        "Muss mindestens {at_least} Zeichen haben.",
        "Deve avere almeno {at_least} caratteri.",
    ),
    "string_too_long": (
        "Must have no more than {at_most} characters.",
        "Darf höchstens {at_most} Zeichen haben.",
        "Non può superare {at_most} caratteri.",
    ),
    "int_type": ("Must be a whole number.", "Muss eine ganze Zahl sein.", "Deve essere un numero intero."),
    "float_type": ("Must be a number.", "Muss eine Zahl sein.", "Deve essere un numero."),
    "bool_type": ("Must be true or false.", "Muss true oder false sein.", "Deve essere true o false."),
    "list_type": ("Must be a list.", "Muss eine Liste sein.", "Deve essere una lista."),
    "object_type": ("Must be an object.", "Muss ein Objekt sein.", "Deve essere un oggetto."),
    "too_small": ("Must be at least {at_least}.", "Muss mindestens {at_least} sein.", "Deve essere almeno {at_least}."),
    "too_big": ("Must be at most {at_most}.", "Darf höchstens {at_most} sein.", "Deve essere al massimo {at_most}."),
    "too_short": (
        "Must have at least {at_least} entries.",
        "Muss mindestens {at_least} Einträge haben.",
        "Deve avere almeno {at_least} elementi.",
    ),
    "too_long": (
        "Must have no more than {at_most} entries.",
        "Darf höchstens {at_most} Einträge haben.",
        "Non può avere più di {at_most} elementi.",
    ),
    "choice": ("Must be one of: {choices}.", "Muss eines sein von: {choices}.", "Deve essere uno tra: {choices}."),
    "email": ("Enter a valid e-mail address.", "Bitte eine gültige E-Mail-Adresse.", "Inserisci un'e-mail valida."),
    "name": (
        "Use 1 to 50 letters, digits and . _ + - only.",
        "Nur 1 bis 50 Buchstaben, Ziffern und . _ + - verwenden.",
        "Usa solo da 1 a 50 lettere, cifre e . _ + -.",
    ),
    "price_taken": (
        "This model has a price that begins at that very moment.",
        "Dieses Modell hat schon einen Preis, der in eben diesem Moment beginnt.",
        "Questo modello ha già un prezzo che inizia in quel preciso momento.",
    ),
    "time_passed": (
        "This time has passed. What was used stays as it was billed.",
        "Dieser Zeitpunkt ist vorbei. Was verbraucht wurde, bleibt so abgerechnet.",
        "Questo momento è passato. Ciò che è stato usato resta fatturato com'era.",
    ),
    "before_from": (
        "The last day is before the first one.",
        "Der letzte Tag liegt vor dem ersten.",
        "L'ultimo giorno precede il primo.",
    ),
    "date_type": (
        "Must be a date like 2026-03-02.",
        "Muss ein Datum sein wie 2026-03-02.",
        "Dev'essere una data come 2026-03-02.",
    ),
    "time_type": (
        "Must be a time like 2026-03-02T08:15:00Z.",
        "Muss ein Zeitpunkt sein wie 2026-03-02T08:15:00Z.",
        "Dev'essere un momento come 2026-03-02T08:15:00Z.",
    ),
    "taken": ("This is taken already.", "Das ist schon vergeben.", "È già in uso."),
    "context_not_found": ("Context not found.", "Context not found.", "Context not found."),
    "provider_unknown": ("Unknown provider.", "Unbekannter Anbieter.", "Fornitore sconosciuto."),
    "model_unknown": ("Unknown model.", "Unbekanntes Modell.", "Modello sconosciuto."),
    "no_id_left": (
        "Nothing in this name can become an id. Use letters or digits.",
        "Aus diesem Namen lässt sich keine Kennung bilden. Bitte Buchstaben oder Ziffern verwenden.",
        "Da questo nome non si ricava un identificativo. Usa lettere o cifre.",
    ),
}


def text(key: str, language: Language, **values: object) -> str:
    said = TEXTS[key][LANGUAGES.index(language)]
    return said.format(**values) if values else said


@lru_cache(maxsize=500)
def accepted_language(header: str, default: Language) -> Language:
    """The best of ours that `Accept-Language` names, else the server's."""
    best: tuple[float, Language] | None = None
    for entry in header.split(","):
        name, _, parameters = entry.strip().partition(";")
        primary = name.strip().lower().split("-")[0]
        for language in LANGUAGES:
            weight = _weight(parameters)
            if primary == language and weight > 0 and (best is None or weight > best[0]):
                best = (weight, language)
    return best[1] if best else default


def _weight(parameters: str) -> float:
    name, _, value = parameters.strip().partition("=")
    if name.strip() != "q":
        return 1.0
    try:
        return float(value)
    except ValueError:
        return 0.0
