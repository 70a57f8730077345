"""What the prompts that are the same for every line say, in four languages."""

from bot.domain.forms import Option
from bot.domain.language import Labels, Language


def _labels(fr: str, nl: str, de: str, en: str) -> Labels:
    return {Language.FR: fr, Language.NL: nl, Language.DE: de, Language.EN: en}


YES = Option(
    code="yes", labels=_labels("Oui", "Ja", "Ja", "Yes"), names=("o", "y", "j", "vrai", "waar", "wahr", "true")
)
NO = Option(code="no", labels=_labels("Non", "Nee", "Nein", "No"), names=("n", "neen", "faux", "false"))

EMERGENCY = _labels(
    "Est-ce une urgence vitale ?",
    "Is dit een levensbedreigend noodgeval?",
    "Ist das ein lebensbedrohlicher Notfall?",
    "Is this a life-threatening emergency?",
)
EMERGENCY_OPTIONS = (
    Option(
        code="not_emergency",
        labels=_labels(
            "Non, pas d'urgence vitale",
            "Nee, geen levensbedreigend noodgeval",
            "Nein, kein lebensbedrohlicher Notfall",
            "No, not an emergency",
        ),
        names=(
            *("non", "nee", "neen", "nein", "no", "not an emergency", "pas une urgence", "pas d'urgence"),
            *("pas urgent", "geen noodgeval", "geen spoed", "kein Notfall", "no emergency"),
            *("pas une urgence vitale", "pas d'urgence vitale", "geen urgentie"),
        ),
    ),
    Option(
        code="emergency",
        labels=_labels(
            "Oui, urgence vitale : 112",
            "Ja, levensbedreigend: 112",
            "Ja, lebensbedrohlich: 112",
            "Yes, an emergency: 112",
        ),
        names=("oui", "ja", "yes", "urgence", "urgence vitale", "noodgeval", "spoed", "Notfall", "an emergency"),
    ),
)

PATIENT = _labels(
    "Le patient en une ligne, sans nom ni NISS : « réf. 4711, 1958, F »",
    "De patiënt in één regel, zonder naam of INSZ: “ref 4711, 1958, V”",
    "Der Patient in einer Zeile, ohne Namen und ohne Nationalregisternummer: „Ref. 4711, 1958, W“",
    "The patient in one line, without name or national number: “ref 4711, 1958, F”",
)

DECLARATIONS = _labels(
    "Le patient est-il informé et d'accord, et l'avez-vous vu dans les 24 derniers mois ?",
    "Is de patiënt geïnformeerd en akkoord, en zag u hem of haar de laatste 24 maanden?",
    "Ist der Patient aufgeklärt und einverstanden, und haben Sie ihn in den letzten 24 Monaten gesehen?",
    "Is the patient informed and agrees, and did you see the patient within the last 24 months?",
)
AGREES_SEEN, AGREES_NOT_SEEN, NOT_POSSIBLE, DOES_NOT_AGREE = "agrees_seen", "agrees_not_seen", "not_possible", "refuses"
DECLARATION_OPTIONS = (
    Option(
        code=AGREES_SEEN,
        labels=_labels(
            "Informé et d'accord, vu dans les 24 mois",
            "Geïnformeerd en akkoord, gezien in de laatste 24 maanden",
            "Aufgeklärt und einverstanden, in 24 Monaten gesehen",
            "Informed and agrees, seen within 24 months",
        ),
        names=("agrees, seen", "d'accord, vu", "akkoord, gezien", "einverstanden, gesehen"),
    ),
    Option(
        code=AGREES_NOT_SEEN,
        labels=_labels(
            "Informé et d'accord, pas vu dans les 24 mois",
            "Geïnformeerd en akkoord, niet gezien in de laatste 24 maanden",
            "Aufgeklärt und einverstanden, in 24 Monaten nicht gesehen",
            "Informed and agrees, not seen within 24 months",
        ),
        names=("agrees, not seen", "d'accord, pas vu", "d'accord, non vu", "akkoord, niet gezien"),
    ),
    Option(
        code=NOT_POSSIBLE,
        labels=_labels(
            "Accord impossible à recueillir (motif demandé)",
            "Toestemming niet mogelijk (reden wordt gevraagd)",
            "Einwilligung nicht möglich (Grund wird gefragt)",
            "Consent not possible (the reason is asked)",
        ),
        names=(
            *(
                "not possible",
                "consent not possible",
                "impossible",
                "accord impossible",
                "accord impossible à recueillir",
            ),
            *(
                "niet mogelijk",
                "toestemming niet mogelijk",
                "nicht möglich",
                "Einwilligung nicht möglich",
                "pas possible",
            ),
        ),
    ),
    Option(
        code=DOES_NOT_AGREE,
        labels=_labels(
            "Le patient n'est pas d'accord",
            "De patiënt gaat niet akkoord",
            "Der Patient ist nicht einverstanden",
            "The patient does not agree",
        ),
        names=("does not agree", "pas d'accord", "niet akkoord", "nicht einverstanden", "refuse", "weigert", "refuses"),
    ),
)

CONSENT_REASON = _labels(
    "Pourquoi l'accord ne peut-il pas être recueilli ?",
    "Waarom is toestemming niet mogelijk?",
    "Warum ist keine Einwilligung möglich?",
    "Why is consent not possible?",
)
EXPECTATION = _labels(
    "Qu'attendez-vous, et pour quand ? Par exemple « traitement, routine »",
    "Wat verwacht u, en hoe dringend? Bijvoorbeeld “behandeling, routine”",
    "Was erwarten Sie, und wie dringend? Zum Beispiel „Behandlung, Routine“",
    "What do you expect, and how soon? For example “treatment, routine”",
)
KEY = _labels("Le point de départ", "Het uitgangspunt", "Der Ausgangspunkt", "The starting point")
FACTS = _labels(
    "Les données clés, en un seul message si vous voulez",
    "De kerngegevens, in één bericht als u wilt",
    "Die wichtigsten Angaben, gern in einer Nachricht",
    "The key facts, in one message if you like",
)
CLINICAL = _labels(
    "Envoyez le courrier (PDF), ou écrivez en un message, chaque partie après son nom et deux-points",
    "Stuur de brief (pdf), of schrijf in één bericht, elk deel na zijn naam en een dubbelpunt",
    "Senden Sie den Brief (PDF), oder schreiben Sie in einer Nachricht, jeden Teil nach Namen und Doppelpunkt",
    "Send the letter (PDF), or write in one message, each part after its name and a colon",
)
DOCUMENTS = _labels(
    "Documents attendus : déposez-les ici", "Verwachte documenten: zet ze hier", "Erwartete Dokumente: hier ablegen",
    "Documents needed: drop them here",
)  # fmt: skip
CLOSING = _labels(
    "Encore utile, mais pas obligatoire : répondez en un message, ou soumettez",
    "Nog nuttig, niet verplicht: antwoord in één bericht, of dien in",
    "Noch nützlich, nicht nötig: antworten Sie in einer Nachricht, oder reichen Sie ein",
    "Still useful, not required: answer in one message, or submit",
)
