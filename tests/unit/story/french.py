"""French sentences as physicians write them: apostrophes, no-break spaces, typographic quotes, odd beginnings."""

from itertools import product

_APOSTROPHES = ("'", "\u2019")
_BLANKS = (" ", "\u00a0", "\u202f")
_QUOTES = (("«", "»"), ("\u201c", "\u201d"), ('"', '"'))
_TEMPLATES = (
    "L{a}ablation est{b}indiquée{b}: l{a}oreillette n{a}est pas dilatée.",
    "D{a}après l{a}échographie, {o}{b}fuite modérée{b}{c} ; qu{a}en pensez-vous{b}?",
    "Aujourd{a}hui{b}: pas d{a}œdème, s{a}il s{a}agit d{a}un flutter…",
    "Faut-il arrêter l{a}amiodarone{b}? {o}{b}Jusqu{a}à 200{b}mg{b}{c}",
    "{o}{b}C{a}est trop tôt{b}{c}, d{a}après moi{b}!",
    "J{a}hésite{b}: <b>gras</b> & 5 < 6, «{b}n{a}importe quoi{b}»{b}!",
    "Première ligne d{a}abord.\n\n\tPuis, l{a}alinéa{b}: fin.",
    "À l{a}effort{b}: 35{b}%, entre {o}oui{c} et {o}non{c}.",
    "Le n°{b}12 d{a}un{b}tracé — l{a}axe — est{b}à{b}−30°{b}; --option d{a}essai",
    "{o}{b}L{a}avis d{a}un autre{b}{c} `code` **gras** $HOME \\n {{x}} %s",
    "Qu{a}il soit traité, s{a}il est d{a}accord{b}; sinon, l{a}abstention.",
)
SENTENCES = tuple(
    (template if "{o}" in template else template + " {o}sic{b}{c}").format(
        a=apostrophe, b=blank, o=quotes[0], c=quotes[1]
    )
    for template, apostrophe, blank, quotes in product(_TEMPLATES, _APOSTROPHES, _BLANKS, _QUOTES)
)
BEGINNING_WITH_A_NUMBER = (
    "2 questions restent ouvertes, d\u2019après moi.",
    "1 seul épisode, il y a 3 ans.",
    "35\u00a0% de FEVG, est-ce exact\u00a0?",
)
ALL = SENTENCES + BEGINNING_WITH_A_NUMBER
