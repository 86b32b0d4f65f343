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
    "wrong_password": (
        "This is not the password.",
        "Das ist nicht das Passwort.",
        "Questa non è la password.",
    ),
    "session_needed": (
        "Sign in with a browser to choose your first password.",
        "Das erste Passwort kann nur wählen, wer im Browser angemeldet ist.",
        "Per scegliere la prima password accedi con un browser.",
    ),
    "too_many_tokens": (
        "You have 100 tokens with a name. Revoke one before you make another.",
        "Es gibt schon 100 Tokens mit Namen. Bitte zuerst eines widerrufen.",
        "Hai già 100 token con un nome. Revocane uno prima di crearne un altro.",
    ),
    "outlives": (
        "A token cannot make one that lives longer than itself. Choose fewer days, or sign in with a browser.",
        "Ein Token erstellt keines, das länger gilt als es selbst: weniger Tage wählen oder im Browser anmelden.",
        "Un token non può crearne uno che duri più di sé stesso. Scegli meno giorni o accedi con un browser.",
    ),
    "closed": (
        "Registration is closed on this server.",
        "Die Registrierung ist auf diesem Server geschlossen.",
        "La registrazione è chiusa su questo server.",
    ),
    "not_found": ("Not found.", "Nicht gefunden.", "Non trovato."),
    "unsupported": (
        "There is no assistant here whom that could be asked of.",
        "Hier gibt es keinen Assistenten, von dem sich das verlangen ließe.",
        "Qui non c'è un assistente a cui chiederlo.",
    ),
    "no_such_person": (
        "There is nobody of that name.",
        "Es gibt niemanden mit diesem Namen.",
        "Non c'è nessuno con questo nome.",
    ),
    "unreachable": (
        "This person cannot be reached.",
        "Diese Person ist nicht erreichbar.",
        "Questa persona non è raggiungibile.",
    ),
    "not_manager": (
        "Only who manages this group may do that.",
        "Das darf nur, wer diese Gruppe verwaltet.",
        "Può farlo solo chi gestisce questo gruppo.",
    ),
    "same_person": (
        "Must be somebody else.",
        "Muss jemand anderes sein.",
        "Deve essere un'altra persona.",
    ),
    "last_manager": (
        "Somebody has to manage the group.",
        "Jemand muss die Gruppe verwalten.",
        "Qualcuno deve gestire il gruppo.",
    ),
    "groups_only": (
        "An assistant can be invited into a group only.",
        "Ein Assistent kann nur in eine Gruppe eingeladen werden.",
        "Un assistente può essere invitato solo in un gruppo.",
    ),
    "group_full": (
        "A group can have 100 members at most.",
        "Eine Gruppe kann höchstens 100 Mitglieder haben.",
        "Un gruppo può avere al massimo 100 membri.",
    ),
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
    "not_waiting": (
        "This message does not wait for its turn (any more).",
        "Diese Nachricht wartet nicht (mehr) darauf, an die Reihe zu kommen.",
        "Questo messaggio non è (più) in attesa del suo turno.",
    ),
    "withdrawn": (
        "This message was taken back before it was answered.",
        "Diese Nachricht wurde zurückgenommen, bevor sie beantwortet war.",
        "Questo messaggio è stato ritirato prima della risposta.",
    ),
    "too_large": (
        "The request is too large.",
        "Die Anfrage ist zu groß.",
        "La richiesta è troppo grande.",
    ),
    "document_too_large": (
        "This document is too large: {most} at most.",
        "Dieses Dokument ist zu groß: höchstens {most}.",
        "Questo documento è troppo grande: al massimo {most}.",
    ),
    "stalled": (
        "The document did not come any further. Send it again.",
        "Das Dokument kam nicht weiter. Bitte erneut senden.",
        "Il documento non arrivava più. Invialo di nuovo.",
    ),
    "quota_collections": (
        "You can have {most}. Delete one first.",
        "Höchstens {most}. Bitte zuerst eine löschen.",
        "Puoi avere {most}. Eliminane prima una.",
    ),
    "quota_documents": (
        "You can have {most}. Delete one first.",
        "Höchstens {most}. Bitte zuerst eines löschen.",
        "Puoi avere {most}. Eliminane prima uno.",
    ),
    "quota_bytes": (
        "Your documents can take {most} in all. Delete one first.",
        "Alle Dokumente zusammen: höchstens {most}. Bitte zuerst eines löschen.",
        "I tuoi documenti possono occupare {most} in tutto. Eliminane prima uno.",
    ),
    "problem_unknown_kind": (
        "This kind of file cannot be read. Text, Markdown, HTML, PDF, DOCX, XLSX and CSV can.",
        "Diese Art von Datei kann nicht gelesen werden. Möglich sind Text, Markdown, HTML, PDF, DOCX, XLSX und CSV.",
        "Questo tipo di file non si può leggere. Si leggono testo, Markdown, HTML, PDF, DOCX, XLSX e CSV.",
    ),
    "problem_broken": (
        "The file is damaged. Save it anew and upload it again.",
        "Die Datei ist beschädigt. Bitte neu speichern und noch einmal hochladen.",
        "Il file è danneggiato. Salvalo di nuovo e ricaricalo.",
    ),
    "problem_encrypted": (
        "The file is protected by a password. Upload it without one.",
        "Die Datei ist mit einem Passwort geschützt. Bitte ohne hochladen.",
        "Il file è protetto da una password. Caricalo senza.",
    ),
    "problem_too_large": (
        "There is too much in this file. Upload it in parts.",
        "Die Datei enthält zu viel. Bitte in Teilen hochladen.",
        "Il file contiene troppo. Caricalo in più parti.",
    ),
    "problem_too_slow": (
        "Reading this file took too long. Upload it in parts.",
        "Die Datei zu lesen hat zu lange gedauert. Bitte in Teilen hochladen.",
        "La lettura del file ha richiesto troppo tempo. Caricalo in più parti.",
    ),
    "problem_too_deep": (
        "What this file holds is nested too deeply.",
        "Der Inhalt der Datei ist zu tief verschachtelt.",
        "Il contenuto del file è annidato troppo in profondità.",
    ),
    "problem_empty": (
        "There is no text in this file. A scan has to be turned into text first.",
        "Die Datei enthält keinen Text. Ein Scan muss zuerst in Text umgewandelt werden.",
        "Il file non contiene testo. Una scansione va prima convertita in testo.",
    ),
    "over_budget": (
        "Your allowance is used up for now.",
        "Das Kontingent ist vorerst aufgebraucht.",
        "La quota disponibile è esaurita per ora.",
    ),
    "rate_limited": ("Too many attempts.", "Zu viele Versuche.", "Troppi tentativi."),
    "come_back": ("Try again in {when}.", "Bitte in {when} erneut versuchen.", "Riprova tra {when}."),
    "limit_turns_a_minute_user": (
        "You can send {count} a minute.",
        "Pro Minute: höchstens {count}.",
        "Puoi inviare {count} al minuto.",
    ),
    "limit_turns_a_minute_app": (
        "This application can send {count} a minute.",
        "Für diese Anwendung pro Minute: höchstens {count}.",
        "Questa applicazione può inviare {count} al minuto.",
    ),
    "limit_turns_a_minute_conversation": (
        "This conversation takes {count} a minute.",
        "In diesem Gespräch pro Minute: höchstens {count}.",
        "Questa conversazione accetta {count} al minuto.",
    ),
    "limit_replies_at_once_user": (
        "You can have {count} written at once.",
        "Gleichzeitig: höchstens {count}.",
        "Puoi ricevere {count} alla volta.",
    ),
    "limit_replies_at_once_app": (
        "This application can have {count} written at once.",
        "Für diese Anwendung gleichzeitig: höchstens {count}.",
        "Questa applicazione può ricevere {count} alla volta.",
    ),
    "limit_sockets_at_once_user": (
        "You can have {count} open at once.",
        "Gleichzeitig offen: höchstens {count}.",
        "Puoi tenere {count} alla volta.",
    ),
    "limit_uploads_at_once_user": (
        "You can send {count} at once.",
        "Gleichzeitig: höchstens {count}.",
        "Puoi inviare {count} alla volta.",
    ),
    "limit_sockets_at_once_address": (
        "Your address can have {count} open at once.",
        "Von dieser Adresse gleichzeitig offen: höchstens {count}.",
        "Dal tuo indirizzo si possono tenere {count} alla volta.",
    ),
    "limit_sign_ins_user": (
        "This account was closed for a while after {count}.",
        "Dieses Konto ist vorerst gesperrt: {count}.",
        "Questo account è bloccato per ora: {count}.",
    ),
    "limit_sign_ins_address": (
        "Your address was shut out for a while after {count}.",
        "Diese Adresse ist vorerst gesperrt: {count}.",
        "Il tuo indirizzo è bloccato per ora: {count}.",
    ),
    "limit_tokens_a_day_user": (
        "You can use {count} a day, and {why}.",
        "Höchstens {count} pro Tag; {why}.",
        "Puoi usare {count} al giorno; {why}.",
    ),
    "limit_tokens_a_day_app": (
        "This application can use {count} a day, and {why}.",
        "Für diese Anwendung höchstens {count} pro Tag; {why}.",
        "Questa applicazione può usare {count} al giorno; {why}.",
    ),
    "limit_tokens_a_month_user": (
        "You can use {count} a month, and {why}.",
        "Höchstens {count} pro Monat; {why}.",
        "Puoi usare {count} al mese; {why}.",
    ),
    "limit_tokens_a_month_app": (
        "This application can use {count} a month, and {why}.",
        "Für diese Anwendung höchstens {count} pro Monat; {why}.",
        "Questa applicazione può usare {count} al mese; {why}.",
    ),
    "limit_conversation_tokens_conversation": (
        "This conversation can use {count} in all, and {why}.",
        "Dieses Gespräch darf höchstens {count} verbrauchen; {why}.",
        "Questa conversazione può usare {count} in tutto; {why}.",
    ),
    "limit_money_a_month_user": (
        "You can spend {count} a month, and {why}.",
        "Höchstens {count} pro Monat; {why}.",
        "Puoi spendere {count} al mese; {why}.",
    ),
    "limit_money_a_month_app": (
        "This application can spend {count} a month, and {why}.",
        "Für diese Anwendung höchstens {count} pro Monat; {why}.",
        "Questa applicazione può spendere {count} al mese; {why}.",
    ),
    "budget_used_up": ("all of that is used up", "davon ist nichts übrig", "non ne resta nulla"),
    "budget_too_little": (
        "what is left is less than a reply may take",
        "was übrig ist, ist weniger, als eine Antwort brauchen kann",
        "quanto resta è meno di ciò che una risposta può richiedere",
    ),
    "budget_held": (
        "replies that are being written may take what is left",
        "was übrig ist, können Antworten brauchen, die gerade geschrieben werden",
        "quanto resta può servire alle risposte in corso",
    ),
    "budget_too_small": (
        "that is less than a reply may take",
        "das ist weniger, als eine Antwort brauchen kann",
        "è meno di ciò che una risposta può richiedere",
    ),
    "begin_another": ("Begin a new one.", "Bitte ein neues beginnen.", "Iniziane una nuova."),
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
    "overloaded": (
        "Too much is going on here just now. Try again in a moment.",
        "Hier ist gerade zu viel los. Bitte gleich erneut versuchen.",
        "In questo momento c'è troppo traffico. Riprova tra poco.",
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
    "ambiguous_name": (
        "A person and an application have this name. Give the UUID.",
        "Eine Person und eine Anwendung heißen so. Bitte die UUID angeben.",
        "Una persona e un'applicazione hanno questo nome. Indica l'UUID.",
    ),
    "price_taken": (
        "This model has a price that begins at that very moment.",
        "Dieses Modell hat schon einen Preis, der in eben diesem Moment beginnt.",
        "Questo modello ha già un prezzo che inizia in quel preciso momento.",
    ),
    "price_begun": (
        "This price has begun. What was used stays as it was billed.",
        "Dieser Preis gilt schon. Was verbraucht wurde, bleibt so abgerechnet.",
        "Questo prezzo è già iniziato. Ciò che è stato usato resta fatturato com'era.",
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
    "is_a_uuid": (
        "A name may not look like an id.",
        "Ein Name darf nicht wie eine Kennung aussehen.",
        "Un nome non può avere la forma di un identificativo.",
    ),
    "taken": ("This is taken already.", "Das ist schon vergeben.", "È già in uso."),
    "context_not_found": ("Context not found.", "Context not found.", "Context not found."),
    "provider_unknown": ("Unknown provider.", "Unbekannter Anbieter.", "Fornitore sconosciuto."),
    "model_unknown": ("Unknown model.", "Unbekanntes Modell.", "Modello sconosciuto."),
    "out_of_range": (
        "This value is out of range.",
        "Dieser Wert liegt außerhalb des erlaubten Bereichs.",
        "Questo valore è fuori dall'intervallo consentito.",
    ),
    "unprintable": (
        "This may not hold control characters, or characters that turn text round.",
        "Steuerzeichen und Zeichen, die Text umkehren, sind hier nicht erlaubt.",
        "Non può contenere caratteri di controllo o che invertono il testo.",
    ),
    "user_unknown": ("Unknown user name.", "Unbekannter Benutzername.", "Nome utente sconosciuto."),
    "version_unknown": ("Unknown version.", "Unbekannte Version.", "Versione sconosciuta."),
    "model_not_offered": (
        "No server offers this model just now, so it cannot be the default.",
        "Kein Server bietet dieses Modell gerade an; es kann nicht das Standardmodell sein.",
        "Nessun server offre questo modello al momento: non può essere quello predefinito.",
    ),
    "default_needed": (
        "There is always one default. Make another model the default instead.",
        "Ein Standardmodell gibt es immer. Bitte stattdessen ein anderes zum Standard machen.",
        "Un modello predefinito c'è sempre. Rendi predefinito un altro modello.",
    ),
    "server_url": (
        "Give an address like http://10.0.0.5:8000/v1, without a name, password or query in it.",
        "Bitte eine Adresse wie http://10.0.0.5:8000/v1 angeben, ohne Name, Passwort oder Abfrage darin.",
        "Indica un indirizzo come http://10.0.0.5:8000/v1, senza nome, password o query.",
    ),
    "server_name": (
        "Use 1 to 50 small letters, digits and . _ - only, and begin with a letter or digit.",
        "Nur 1 bis 50 kleine Buchstaben, Ziffern und . _ - verwenden, am Anfang ein Buchstabe oder eine Ziffer.",
        "Usa solo da 1 a 50 lettere minuscole, cifre e . _ -, iniziando con una lettera o una cifra.",
    ),
    "server_set": (
        "This server is set in the settings or was found on the machine. It can only be changed there.",
        "Dieser Server steht in den Einstellungen oder wurde auf dem Rechner gefunden. Nur dort lässt er sich ändern.",
        "Questo server è nelle impostazioni o è stato trovato sulla macchina. Si può cambiare solo lì.",
    ),
    "server_key": (
        "A key has no blanks and no letters outside of ASCII.",
        "Ein Schlüssel enthält weder Leerzeichen noch Zeichen außerhalb von ASCII.",
        "Una chiave non contiene spazi né caratteri fuori da ASCII.",
    ),
    "capability": (
        "Use 1 to 40 small letters, digits and _ - only.",
        "Nur 1 bis 40 kleine Buchstaben, Ziffern und _ - verwenden.",
        "Usa solo da 1 a 40 lettere minuscole, cifre e _ -.",
    ),
    "too_many_targets": (
        "You have 20 devices here. Remove one first.",
        "Es gibt hier schon 20 Geräte. Bitte zuerst eines entfernen.",
        "Hai già 20 dispositivi qui. Rimuovine prima uno.",
    ),
    "channel_off": (
        "This way of reaching you is not set up on this server.",
        "Dieser Weg ist auf diesem Server nicht eingerichtet.",
        "Questa via non è configurata su questo server.",
    ),
    "applications_only": (
        "A webhook belongs to an application. Ask with its token.",
        "Ein Webhook gehört zu einer Anwendung. Bitte mit deren Token anfragen.",
        "Un webhook appartiene a un'applicazione. Usa il suo token.",
    ),
    "target_invalid": (
        "This cannot be used: give it just as the browser, the phone or your application tells it.",
        "Das ist nicht verwendbar: bitte genau so angeben, wie Browser, Telefon oder Anwendung es nennen.",
        "Non si può usare: indicalo esattamente come lo fornisce il browser, il telefono o l'applicazione.",
    ),
    "target_not_allowed": (
        "This address is not a public one, and this server does not call it.",
        "Diese Adresse ist keine öffentliche; dieser Server ruft sie nicht auf.",
        "Questo indirizzo non è pubblico e questo server non lo chiama.",
    ),
    "email_taken": (
        "Somebody else has this e-mail.",
        "Diese E-Mail-Adresse gehört schon jemandem.",
        "Questa e-mail appartiene già a qualcun altro.",
    ),
    "last_admin": (
        "Nobody else here could sign in and do what admins may. Make somebody else an admin first.",
        "Sonst könnte sich hier niemand mehr anmelden, der verwalten darf. Bitte zuerst jemand anderen dazu machen.",
        "Nessun altro potrebbe accedere e amministrare. Rendi prima amministratore qualcun altro.",
    ),
    "user_disabled": (
        "This account is disabled, and would not be let in. Enable it first.",
        "Dieses Konto ist gesperrt und käme nicht hinein. Bitte zuerst freigeben.",
        "Questo account è disattivato e non potrebbe accedere. Riattivalo prima.",
    ),
    "no_id_left": (
        "Nothing in this name can become an id. Use letters or digits.",
        "Aus diesem Namen lässt sich keine Kennung bilden. Bitte Buchstaben oder Ziffern verwenden.",
        "Da questo nome non si ricava un identificativo. Usa lettere o cifre.",
    ),
}


def text(key: str, language: Language, **values: object) -> str:
    place = LANGUAGES.index(language)
    return TEXTS[key][place].format(**values) if values else TEXTS[key][place]


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
