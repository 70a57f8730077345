"""The fixed words of opinion and certificate in four languages, and how dates and sizes are written in each."""

from collections.abc import Mapping
from datetime import datetime
from zoneinfo import ZoneInfo

from bot.domain.inami import formatted
from bot.domain.language import Language

# key: (French, Dutch, German, English). One row a text, so that a missing translation cannot hide.
_ROWS: Mapping[str, tuple[str, str, str, str]] = {
    "opinion": ("Avis spécialisé", "Specialistisch advies", "Fachärztliche Stellungnahme", "Specialist opinion"),
    "case": ("Dossier", "Dossier", "Fall", "Case"),
    "version": ("version", "versie", "Fassung", "version"),
    "page": ("page", "pagina", "Seite", "page"),
    "patient": ("Patient", "Patiënt", "Patient", "Patient"),
    "reference": ("Référence", "Referentie", "Referenz", "Reference"),
    "birth_year": ("Année de naissance", "Geboortejaar", "Geburtsjahr", "Year of birth"),
    "sex": ("Sexe", "Geslacht", "Geschlecht", "Sex"),
    "f": ("féminin", "vrouwelijk", "weiblich", "female"),
    "m": ("masculin", "mannelijk", "männlich", "male"),
    "x": ("autre", "anders", "divers", "other"),
    "decision": ("Décision", "Beslissing", "Entscheidung", "Decision"),
    "opinion_of": ("Avis de", "Advies van", "Stellungnahme von", "Opinion of"),
    "heart_team": ("Heart Team", "Heart Team", "Heart Team", "Heart Team"),
    "recommendation": ("Recommandation", "Aanbeveling", "Empfehlung", "Recommendation"),
    "who_does_what": ("Qui fait quoi", "Wie doet wat", "Wer macht was", "Who does what"),
    "reasons": ("Motifs", "Motivering", "Begründung", "Reasons"),
    "dissent": ("Avis divergent", "Afwijkende mening", "Abweichende Meinung", "Dissent"),
    "limits": ("Limites", "Beperkingen", "Grenzen", "Limits"),
    "question": ("Question posée", "Gestelde vraag", "Gestellte Frage", "Question as asked"),
    "answers": ("Données du dossier", "Gegevens van het dossier", "Angaben des Dossiers", "What the dossier says"),
    "field": ("Donnée", "Gegeven", "Angabe", "Item"),
    "answer": ("Réponse", "Antwoord", "Antwort", "Answer"),
    "source": ("Origine", "Herkomst", "Herkunft", "Source"),
    "typed": ("message", "bericht", "Nachricht", "message"),
    "tap": ("choix", "keuze", "Auswahl", "choice"),
    "letter": ("lettre", "brief", "Brief", "letter"),
    "machine": ("appareil", "toestel", "Gerät", "machine"),
    "not_given": ("non fourni", "niet meegedeeld", "nicht angegeben", "not provided"),
    "documents": (
        "Documents à l’appui",
        "Documenten waarop het advies steunt",
        "Zugrunde liegende Dokumente",
        "Documents it rests on",
    ),
    "no_documents": ("Aucun document.", "Geen document.", "Kein Dokument.", "No document."),
    "number": ("N°", "Nr.", "Nr.", "No."),
    "document": ("Document", "Document", "Dokument", "Document"),
    "received": ("Reçu", "Ontvangen", "Eingegangen", "Received"),
    "size": ("Taille", "Grootte", "Größe", "Size"),
    "missing": (
        "Demandé mais absent",
        "Gevraagd maar ontbrekend",
        "Angefordert, aber fehlend",
        "Asked for but missing",
    ),
    "people": ("Intervenants", "Betrokkenen", "Beteiligte", "Who took part"),
    "name": ("Nom", "Naam", "Name", "Name"),
    "inami": ("INAMI", "RIZIV", "LIKIV", "INAMI"),
    "function": ("Fonction", "Functie", "Funktion", "Function"),
    "accepted": ("Accepté", "Aanvaard", "Angenommen", "Accepted"),
    "requester": ("Demandeur", "Aanvrager", "Anfragender Arzt", "Requester"),
    "expert": ("Expert", "Expert", "Experte", "Expert"),
    "times": ("Déroulement", "Verloop", "Verlauf", "Course"),
    "asked": ("Dossier ouvert", "Dossier geopend", "Fall eröffnet", "Case opened"),
    "submitted": ("Demande soumise", "Aanvraag ingediend", "Anfrage eingereicht", "Question submitted"),
    "answered": ("Avis arrêté", "Advies vastgelegd", "Stellungnahme festgelegt", "Opinion frozen"),
    "statements": (
        "Déclarations du demandeur",
        "Verklaringen van de aanvrager",
        "Erklärungen des Anfragenden",
        "Declared by the requester",
    ),
    "agrees": (
        "Le patient est informé et d’accord.",
        "De patiënt is ingelicht en gaat akkoord.",
        "Der Patient ist informiert und einverstanden.",
        "The patient is informed and agrees.",
    ),
    "not_possible": (
        "Accord du patient impossible à recueillir :",
        "Akkoord van de patiënt niet mogelijk:",
        "Einverständnis des Patienten nicht möglich:",
        "The patient’s agreement was not possible:",
    ),
    "seen": (
        "Vu par le demandeur au cours des 24 derniers mois : oui.",
        "Door de aanvrager gezien in de laatste 24 maanden: ja.",
        "In den letzten 24 Monaten vom Anfragenden gesehen: ja.",
        "Seen by the requester within the last 24 months: yes.",
    ),
    "not_seen": (
        "Vu par le demandeur au cours des 24 derniers mois : non.",
        "Door de aanvrager gezien in de laatste 24 maanden: neen.",
        "In den letzten 24 Monaten vom Anfragenden gesehen: nein.",
        "Seen by the requester within the last 24 months: no.",
    ),
    "no_emergency": (
        "Ce n’est pas une urgence.",
        "Het is geen spoedgeval.",
        "Es ist kein Notfall.",
        "It is not an emergency.",
    ),
    "emergency_unsaid": (
        "L’absence d’urgence n’a pas été déclarée.",
        "Niet verklaard dat het geen spoedgeval is.",
        "Nicht erklärt, dass es kein Notfall ist.",
        "Not declared that it is no emergency.",
    ),
    "technique": ("Moyens techniques", "Technische middelen", "Technische Mittel", "Technology"),
    "incidents": ("Incidents techniques", "Technische incidenten", "Technische Zwischenfälle", "Technical incidents"),
    "no_incidents": ("Aucun.", "Geen.", "Keine.", "None."),
    "signatures": ("Signatures", "Handtekeningen", "Unterschriften", "Signatures"),
    "signed_how": (
        "Signé sur le serveur de l’hôpital au moyen du code à usage unique du signataire ; l’hôpital gère les clés.",
        (
            "Ondertekend op de server van het ziekenhuis met de eenmalige code van de ondertekenaar; "
            "het ziekenhuis beheert de sleutels."
        ),
        (
            "Auf dem Server des Krankenhauses mit dem Einmalcode des Unterzeichners signiert; "
            "das Krankenhaus verwaltet die Schlüssel."
        ),
        "Signed on the hospital’s server on the signatory’s one-time code; the hospital operates the keys.",
    ),
    "final_when": (
        (
            "Définitif seulement avec, dans ce fichier, la signature de chaque signataire "
            "et, en dernier, le sceau de l’hôpital."
        ),
        (
            "Pas definitief zonder, in dit bestand, de handtekening van elke ondertekenaar "
            "en als laatste het zegel van het ziekenhuis."
        ),
        (
            "Endgültig erst mit der Signatur jedes Unterzeichners in dieser Datei "
            "und zuletzt dem Siegel des Krankenhauses."
        ),
        "Final only with the signature of every signatory in this file and, last, the hospital’s seal.",
    ),
    "signatory": ("Signataire", "Ondertekenaar", "Unterzeichner", "Signatory"),
    "supersedes": (
        "Remplace l’avis précédent, dont l’empreinte SHA-256 est",
        "Vervangt het vorige advies, met SHA-256-vingerafdruk",
        "Ersetzt die vorige Stellungnahme mit dem SHA-256-Wert",
        "Supersedes the previous opinion, whose SHA-256 is",
    ),
    "certificate": (
        "Certificat d’effacement",
        "Certificaat van wissing",
        "Löschbescheinigung",
        "Certificate of erasure",
    ),
    "certified": (
        "Les messages, fichiers et clés de ce dossier ont été effacés partout où le système peut les atteindre.",
        "De berichten, bestanden en sleutels van dit dossier zijn gewist overal waar het systeem ze kan bereiken.",
        "Nachrichten, Dateien und Schlüssel dieses Falls wurden überall gelöscht, wo das System sie erreichen kann.",
        "The messages, files and keys of this case were erased everywhere the system can reach them.",
    ),
    "erased_at": ("Effacé le", "Gewist op", "Gelöscht am", "Erased at"),
    "rule": ("Règle appliquée", "Toegepaste regel", "Angewandte Regel", "Rule applied"),
    "key_destroyed": ("Clé détruite le", "Sleutel vernietigd op", "Schlüssel vernichtet am", "Key destroyed at"),
    "what": ("Ce qui a été effacé", "Wat gewist is", "Was gelöscht wurde", "What was erased"),
    "events": ("Messages", "Berichten", "Nachrichten", "Messages"),
    "media": ("Médias sur le serveur", "Media op de server", "Medien auf dem Server", "Media on the server"),
    "files": ("Fichiers du coffre", "Bestanden in de kluis", "Dateien im Tresor", "Files in the vault"),
    "rooms": ("Salons", "Kamers", "Räume", "Rooms"),
    "count": ("Nombre", "Aantal", "Anzahl", "Count"),
    "not_reached": (
        "Ce qui n’a pas pu être atteint",
        "Wat niet bereikt kon worden",
        "Was nicht erreicht wurde",
        "What could not be reached",
    ),
    "nothing_left": ("Rien n’est resté.", "Er is niets gebleven.", "Nichts ist geblieben.", "Nothing stayed."),
    "audit": (
        "Empreinte du journal d’audit",
        "Vingerafdruk van het auditlogboek",
        "Prüfsumme des Auditprotokolls",
        "Hash of the audit trail",
    ),
}
_ORDER = (Language.FR, Language.NL, Language.DE, Language.EN)
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")


def words(language: Language) -> dict[str, str]:
    """Return every fixed text in *language*."""
    column = _ORDER.index(language)
    return {key: row[column] for key, row in _ROWS.items()}


def written_time(at: datetime, language: Language, zone: ZoneInfo) -> str:
    """Return a time as a reader in *zone* writes it, with the zone's short name; *at* is aware."""
    local = at.astimezone(zone)
    return f"{_written_day(local, language)} {local.hour:02}:{local.minute:02} {local.tzname()}"


def _written_day(day: datetime, language: Language) -> str:
    match language:
        case Language.EN:
            return f"{day.day} {_MONTHS[day.month - 1]} {day.year}"
        case Language.DE:
            return f"{day.day:02}.{day.month:02}.{day.year}"
        case Language.FR | Language.NL:
            return f"{day.day:02}/{day.month:02}/{day.year}"


def written_size(size: int, language: Language) -> str:
    """Return a number of bytes in B, kB or MB (powers of ten)."""
    byte = "o" if language is Language.FR else "B"
    if size < 1_000:
        return f"{size}\u00a0{byte}"
    number, prefix = (size / 1_000, "k") if size < 1_000_000 else (size / 1_000_000, "M")
    digits = f"{number:.1f}" if language is Language.EN else f"{number:.1f}".replace(".", ",")
    return f"{digits}\u00a0{prefix}{byte}"


def written_inami(inami: str) -> str:
    """Return a number as it is printed, or as it came if it has not 11 digits."""
    return formatted(inami) if len(inami) == 11 and inami.isdecimal() else inami
