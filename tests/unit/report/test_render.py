"""What the pages of an opinion and of a certificate say, for ordinary and for hostile values."""

import re
from dataclasses import replace
from io import BytesIO

import pypdfium2
import pytest
from PIL import Image
from pyhanko.pdf_utils import generic
from pyhanko.pdf_utils.reader import PdfFileReader

from bot.adapters.report import record
from bot.adapters.report.render import first_page_png, render_certificate, render_opinion
from bot.adapters.report.words import words
from bot.domain.language import Language
from bot.domain.report import Answered, Consent, Dissenting, DocumentRef, PatientLabel, Sex, Statements
from tests.fakes.report import ASKED, EXPERT, a_certificate, a_panel_opinion, an_opinion

MARKUP = (
    '#let x=1 $a^2$ @ref *bold* _it_ \\ `raw` <lab> // c /* */ [x] {y} ~ -- ...\n= h\n- l\n#panic(1)\n#read("/etc")'
)
WORD = "Donaudampfschifffahrtselektrizitätenhauptbetriebswerkbauunterbeamtengesellschaft" * 3
NAME = "Dr Maximiliaan-Alexander van den Broeck-Vandeputte de la Rochefoucauld " * 3


def _pages(pdf: bytes) -> list[str]:
    document = pypdfium2.PdfDocument(pdf)
    return [" ".join(page.get_textpage().get_text_range().split()) for page in document]


def _text(pdf: bytes) -> str:
    return " ".join(_pages(pdf))


def _squeezed(text: str) -> str:
    return re.sub(r"[\s\u200b\ufffe\x02-]", "", text)


def _fonts(page: generic.DictionaryObject) -> list[generic.DictionaryObject]:
    return [font.get_object() for font in page["/Resources"]["/Font"].values()]


def _outside(pdf: bytes, margin: float = 40.0) -> list[tuple[int, str]]:
    """Characters that lie outside of the page's margins (in points), with the number of their page."""
    found = []
    for number, page in enumerate(pypdfium2.PdfDocument(pdf), 1):
        width, height = page.get_size()
        text = page.get_textpage()
        for index in range(text.count_chars()):
            left, bottom, right, top = text.get_charbox(index)
            drawn = right > left and top > bottom
            if drawn and (left < margin or right > width - margin or bottom < 20 or top > height - 20):
                found.append((number, text.get_text_range(index, 1)))
    return found


def _big_opinion_pdf() -> bytes:
    people = tuple(replace(EXPERT, name=n, function=n, institution=n) for n in (NAME, WORD, NAME, WORD))
    return render_opinion(
        an_opinion(
            line=NAME,
            hospital=NAME + WORD,
            patient=PatientLabel(reference=WORD, birth_year=1958, sex=Sex.OTHER),
            requester=people[0],
            experts=people,
            signatories=people,
            supersedes="ab" * 32,
            decision=WORD + NAME,
            dissent=(Dissenting(name=WORD, text=WORD),),
            documents=tuple(
                DocumentRef(n=n, kind=NAME, slot=WORD, received_at=ASKED, sha256="ab" * 32, size=10**9)
                for n in range(1, 41)
            ),
            answered=tuple(Answered(label=WORD, value=NAME + WORD, source=WORD, missing=n > 5) for n in range(10)),
            missing_documents=(NAME, WORD),
            statements=Statements(
                consent=Consent.NOT_POSSIBLE, reason=WORD, seen_within_24_months=False, not_an_emergency=False
            ),
            technology=WORD,
            limits=NAME,
        )
    )


def test_every_page_names_patient_case_and_page() -> None:
    """Reference, year of birth and sex, case number and page x/y stand on every page."""
    pages = _pages(render_opinion(an_opinion(reasons="Ablation indiquée. " * 1000)))

    assert len(pages) > 3
    assert all("Patient 4711 · 1958 · F" in page for page in pages)
    assert all("C-2026-0007" in page for page in pages)
    assert [f"page {n}/{len(pages)}" in page for n, page in enumerate(pages, 1)] == [True] * len(pages)


def test_an_ordinary_opinion_fits_two_pages() -> None:
    """Two sheets are what a hospital files without thinking."""
    assert len(_pages(render_opinion(a_panel_opinion(supersedes="ab" * 32)))) == 2


def test_an_opinion_says_everything() -> None:
    """Who asked and answered, when, on what, what was decided and why, who does what, dissent, limits, incidents."""
    opinion = a_panel_opinion(supersedes="cd" * 32, version=2)
    text = _squeezed(_text(render_opinion(opinion)))
    said = [
        opinion.hospital, opinion.line.upper(), opinion.case_id, "version 2", "cd" * 32, opinion.question,
        opinion.decision, opinion.reasons, opinion.recommendation, opinion.who_does_what, opinion.limits,
        opinion.technology, *(i.text for i in opinion.incidents),
        *(text for d in opinion.dissent for text in (d.name, d.text)),
        *(text for p in (opinion.requester, *opinion.experts) for text in (p.name, p.function, p.institution or "")),
        "1-99999-15-003", "1-23456-25-730", "1-99999-73-003", "1-23456-76-730",
        *(text for d in opinion.documents for text in (d.kind, d.slot or "", d.sha256)), *opinion.missing_documents,
        *(text for a in opinion.answered for text in (a.label, a.value)), "TSH non fourni",
        "02/03/2026 09:12 CET", "02/03/2026 09:50 CET", "03/03/2026 15:43 CET", "02/03/2026 11:12 CET",
        "Le patient est informé et d’accord.",
    ]  # fmt: skip

    assert [one for one in said if _squeezed(one) not in text] == []


@pytest.mark.parametrize("language", Language)
def test_every_language_says_who_keeps_the_keys(language: Language) -> None:
    """It never says "qualified", and names no level of signature."""
    text = _text(render_opinion(an_opinion(language=language)))

    assert _squeezed(words(language)["signed_how"]) in _squeezed(text)
    assert not re.search("qualif|advanced|avancée|geavanceerd|fortgeschritten|eIDAS", text, re.IGNORECASE)


def test_no_word_is_missing_in_any_language() -> None:
    """Each fixed text exists in each language."""
    assert all(text.strip() for language in Language for text in words(language).values())


@pytest.mark.parametrize("line", ["Heart Team valvulaire", "Hartkleppen Heart Team", "Herzklappen-Heart-Team"])
def test_an_opinion_is_of_its_experts_by_name(line: str) -> None:
    """Without a complete composition nothing on the page speaks of a Heart Team, not even the name of the line."""
    opinion = a_panel_opinion(line=line)
    text = _text(render_opinion(opinion))

    assert "Avis de Dr Bram Peeters, Pr Claire Dubois, Dr Dirk Wouters" in text
    assert not re.search(
        r"heart[\s-]*team", text + record.opinion_json(opinion).replace("heart_team", ""), re.IGNORECASE
    )


def test_a_complete_composition_is_called_heart_team() -> None:
    """Only then."""
    text = _text(render_opinion(a_panel_opinion(line="Heart Team valvulaire", heart_team_complete=True)))

    assert "HEART TEAM VALVULAIRE" in text
    assert "Heart Team: Dr Bram Peeters" in text


def test_consent_that_was_not_possible_gives_its_reason() -> None:
    """And a patient who was not seen, and an emergency that was not excluded, are said."""
    declared = Statements(
        consent=Consent.NOT_POSSIBLE, reason="patient intubé", seen_within_24_months=False, not_an_emergency=False
    )
    text = _squeezed(_text(render_opinion(an_opinion(language=Language.EN, statements=declared))))

    assert _squeezed("agreement was not possible: patient intubé") in text
    assert _squeezed("Seen by the requester within the last 24 months: no.") in text
    assert _squeezed("Not declared that it is no emergency.") in text


def test_the_same_opinion_gives_the_same_bytes() -> None:
    """The PDF's date is the report's, and nothing in it is random."""
    assert render_opinion(a_panel_opinion()) == render_opinion(a_panel_opinion())


def test_markup_is_text() -> None:
    """What people write is never read as the typesetter's language."""
    text = _squeezed(_text(render_opinion(an_opinion(decision=MARKUP, reasons=MARKUP, line=MARKUP))))

    assert text.count(_squeezed(MARKUP)) == 2


def test_unknown_characters_are_boxes_with_their_code() -> None:
    """Nothing that a phone can type stops an opinion, or turns "53" into "35"."""
    hostile = "a\u202e53\u202cb\x00\x1b[31m\ud800\ue000 日 👩‍⚕️ e\u0301 e" + "\u0301" * 200
    text = _text(render_opinion(an_opinion(reasons=hostile, hospital=hostile, question=hostile)))

    assert all(f"U+{code}" in text for code in ("202E", "202C", "0000", "001B", "D800", "E000", "65E5", "1F469"))


@pytest.mark.parametrize(
    "reasons",
    [
        "Ablation " * 2_222,
        "x" * 20_000,
        "\U0001f9e0" * 20_000,
        "a\n" * 10_000,
        "e" + "\u0301" * 20_000,
        "مرحبا " * 3_333,
    ],
    ids=["words", "one word", "boxes", "lines", "accents", "Arabic"],
)
def test_twenty_thousand_characters_stay_on_the_pages(reasons: str) -> None:
    """The longest text that a message can bring is typeset, and nothing runs out of the page."""
    assert _outside(render_opinion(an_opinion(reasons=reasons))) == []


def test_very_long_names_and_forty_documents_stay_on_the_pages() -> None:
    """No cell, header or box lets its text run out."""
    assert _outside(_big_opinion_pdf()) == []


def test_an_opinion_without_anything_is_still_a_page() -> None:
    """Empty parts are left out, never an error."""
    empty = an_opinion(
        reasons="", recommendation="", who_does_what="", decision="", question="", answered=(), documents=(),
        missing_documents=(), experts=(), signatories=(), limits="", technology="", line="", hospital="",
    )  # fmt: skip

    assert "Aucun document." in _text(render_opinion(empty))


def test_the_file_is_archivable_and_accessible_and_carries_the_case() -> None:
    """PDF/A-3a and PDF/UA-1 by their markers, tags, language, embedded fonts, `case.json` as AFRelationship Data."""
    opinion = a_panel_opinion()
    root = PdfFileReader(BytesIO(render_opinion(opinion))).root
    metadata = root["/Metadata"].data.decode()
    (attached,) = [entry.get_object() for entry in root["/AF"]]

    assert re.search(r"pdfaid:part>3<.*pdfaid:conformance>A<", metadata, re.DOTALL)
    assert re.search(r"pdfuaid:part>1<", metadata)
    assert root["/MarkInfo"]["/Marked"] == True  # noqa: E712  a PDF boolean
    assert root["/Lang"] == "fr-BE"
    assert "/OutputIntents" in root
    assert (attached["/UF"], attached["/AFRelationship"]) == ("case.json", "/Data")
    assert attached["/EF"]["/F"]["/Subtype"] == "/application/json"
    assert attached["/EF"]["/F"].data.decode() == record.opinion_json(opinion)


def test_the_title_of_the_file_holds_nothing_of_the_patient() -> None:
    """Titles are shown in windows, lists and mail programs."""
    reader = PdfFileReader(BytesIO(render_opinion(an_opinion())))
    metadata = reader.root["/Metadata"].data.decode()

    assert "C-2026-0007" in metadata
    assert not [secret for secret in ("4711", "1958", "Fibrillation", "Rythmologie") if secret in metadata]


def test_only_our_fonts_are_on_the_page() -> None:
    """No font of the machine: the page looks the same everywhere."""
    pages = PdfFileReader(BytesIO(render_opinion(a_panel_opinion(reasons="Ω שלום")))).root["/Pages"]["/Kids"]
    fonts = {font["/BaseFont"] for page in pages for font in _fonts(page.get_object())}

    assert {re.sub("^/[A-Z]{6}[+]|-.*", "", font) for font in fonts} == {"SourceSans3", "DejaVuSans", "DejaVuSansMono"}


def test_a_certificate_says_what_went_and_what_stayed() -> None:
    """Case number, rule, times, counts, what could not be reached, hash of the audit; no patient."""
    text = _text(render_certificate(a_certificate()))

    assert all(
        one in text
        for one in (
            "C-2026-0007",
            "30 jours après",
            "02/04/2026 16:43 CEST",
            "148",
            "12",
            "Copies que",
            "9f86d081884c7d65",
        )
    )
    assert "4711" not in text


@pytest.mark.parametrize("language", Language)
def test_a_certificate_of_hostile_texts_stays_on_the_page(language: Language) -> None:
    """The rule comes from the configuration, the rest from the eraser; both are only text."""
    hostile = a_certificate(language=language, rule=WORD + MARKUP, hospital=NAME, not_reached=(WORD,) * 30)

    assert _outside(render_certificate(hostile)) == []


def test_the_first_page_is_a_picture_of_the_asked_width() -> None:
    """For the chat and the README."""
    picture = Image.open(BytesIO(first_page_png(render_opinion(an_opinion()), 700)))

    assert (picture.format, picture.size) == ("PNG", (700, 990))
