"""The dossier: what experts get to read, in one order, under one heading, from the same media."""

from collections.abc import Iterator
from dataclasses import replace

from bot.domain.answers import render_value
from bot.domain.case import Case, Document
from bot.domain.documents import NoteCode
from bot.domain.effects import CaseRoom, Say
from bot.domain.forms import Field
from bot.domain.ids import UserId
from bot.domain.language import Language
from bot.domain.lines import IdentityPolicy, Line
from bot.domain.notice import At, Attachment, Bullets, Clinical, Label, LineName, Notice, Rows, Value, Who, Word
from bot.domain.prompts import BIRTH_YEAR, QUESTION, REFERENCE, SEX, status
from bot.services.ports import Unit

_HEADING_FIELDS = frozenset({REFERENCE, BIRTH_YEAR, SEX, QUESTION})
_EXTENSIONS = {
    "image/png": "png",
    "image/jpeg": "jpg",
    "image/webp": "webp",
    "video/mp4": "mp4",
    "application/pdf": "pdf",
    "application/dicom": "dcm",
}
_SHOWN_FIRST = ("ecg", "loop", "still", "page", "thumbnail")


def patient_line(case: Case, line: Line, language: Language) -> str:
    """Return reference, birth year and sex, as every page and every acknowledgement repeats them."""
    shown = (case.answers.value(one) for one in (REFERENCE, BIRTH_YEAR))
    sex = case.answers.value(SEX)
    words = [str(value) for value in shown if value is not None]
    if sex is not None:
        words.append(render_value(line.form[SEX], sex, language))
    return ", ".join(words)


def answer_value(one: Field, case: Case) -> Value:
    """Return an answer as it is shown: a choice in every language, a text verbatim."""
    value = case.answers.value(one.id)
    if value is None:
        return Word("missing")
    return Label({language.value: render_value(one, value, language) for language in Language})


def answered_rows(case: Case, line: Line) -> Rows:
    """Return every answered field of the form but patient and question, in the order of the form."""
    rows: list[tuple[Value, Value]] = [
        (Label({k.value: v for k, v in one.labels.items()}), answer_value(one, case))
        for one in line.form.fields
        if not one.is_slot and one.id in case.answers and one.id not in _HEADING_FIELDS
    ]
    rows += [(Label(label), Label(value)) for label, value in case.carried]
    return Rows(tuple(rows))


def carried_answers(case: Case, old: Line, new: Line) -> list[tuple[dict[str, str], dict[str, str]]]:
    """Return label and answer, by language, of everything that the form of *new* does not know."""
    carried = []
    for one in old.form.fields:
        value = case.answers.value(one.id)
        if value is not None and new.form.get(one.id) is None:
            label = {language.value: one.label(language) for language in Language}
            carried.append((label, {language.value: render_value(one, value, language) for language in Language}))
    return carried


def missing_labels(case: Case, line: Line, *, recommended: bool = False) -> Bullets:
    """Return the labels of what is missing, required or recommended."""
    now = status(line.form, case.answers, slots_filled(case), today=case.touched_at.date())
    missing = now.missing_recommended if recommended else now.missing_required
    return Bullets(tuple(Label({k.value: v for k, v in line.form[one].labels.items()}) for one in missing))


def slots_filled(case: Case) -> frozenset[str]:
    """Return the document slots that have a document."""
    return frozenset(d.slot for d in case.documents if d.slot and d.state.value in ("ready", "receiving"))


def document_name(case: Case, document: Document) -> str:
    """Return the neutral name that people see: `C-2026-0007 ECG 1`."""
    return f"{case.id} {(document.kind or 'file').upper().replace('_', ' ')} {document.n}"


def files_of(document: Document) -> tuple[str, ...]:
    """Return the names of everything that the vault holds of a document."""
    own = (document.file_id, document.clean_id, *(picture.file_id for picture in document.pictures))
    return tuple(file_id for file_id in own if file_id is not None)


def document_notices(case: Case, line: Line, document: Document) -> Iterator[Notice]:
    """Yield the messages that show one document: its facts in silence, then its pictures under neutral names.

    A file that identity could not be taken out of is not posted where the line strips identity: it is there on asking.
    """
    values, data = _described(line, document)
    name = document_name(case, document)
    pictures = sorted(document.pictures, key=lambda p: _SHOWN_FIRST.index(p.role) if p.role in _SHOWN_FIRST else 9)
    whole = document.kind == "image" and document.clean_id is not None
    shown = [p for p in pictures if not (whole and p.role == "thumbnail")]
    # Pages that are not shown belong to the dossier too: then the whole file is posted.
    more = NoteCode.PAGES_LEFT_OUT.value in document.notes
    postable = document.clean_id is not None or line.identity is IdentityPolicy.KEEP or more
    text = "document" if shown or whole or postable else "document_kept"
    steps = () if shown or whole or postable else (("original", case.id, str(document.n)),)
    yield Notice(text=text, values=values, kind="document_facts", data=data, next=steps)
    small = next((p.file_id for p in pictures if p.role in ("still", "thumbnail")), None)
    for i, picture in enumerate(shown):
        yield Notice(
            text="",
            kind="document",
            data={**data, "role": picture.role},
            attachment=Attachment(
                file_id=picture.file_id,
                name=f"{name}{'' if i == 0 else f' {picture.role} {i + 1}'}.{_EXTENSIONS.get(picture.mime, 'bin')}",
                mime=picture.mime,
                width=picture.width,
                height=picture.height,
                duration_ms=picture.duration_ms,
                thumbnail=small if picture.role == "loop" else None,
            ),
        )
    if whole or (not shown and postable) or more:
        yield original_notice(case, line, document)


def _described(line: Line, document: Document) -> tuple[dict[str, Value], dict[str, object]]:
    slot = line.form.get(document.slot) if document.slot else None
    kind = Word(f"kind_{document.kind or 'unknown'}")
    values: dict[str, Value] = {
        "n": document.n,
        "label": Label({k.value: v for k, v in slot.labels.items()}) if slot else kind,
        "facts": Rows(tuple((Word(f"fact_{k}"), Clinical(v)) for k, v in document.facts.items())),
        "notes": Bullets(tuple(Word(f"note_{n}") for n in document.notes)),
    }
    data: dict[str, object] = {
        "n": document.n,
        "sha256": document.sha256,
        "document_kind": document.kind,
        "slot": document.slot,
    }
    return values, data


def original_notice(case: Case, line: Line, document: Document) -> Notice:
    """Return the message that carries the file: cleaned where that could be done, else as it came."""
    mime = (document.clean_mime if document.clean_id else document.mime) or "application/octet-stream"
    _, data = _described(line, document)
    return Notice(
        text="",
        kind="document",
        data={**data, "role": "file", "cleaned": document.clean_id is not None},
        attachment=Attachment(
            file_id=document.clean_id or document.file_id or "",
            name=f"{document_name(case, document)} file.{_EXTENSIONS.get(mime, 'bin')}",
            mime=mime,
        ),
    )


def dossier_notices(case: Case, line: Line, *, for_whom: UserId | None) -> Iterator[Notice]:
    """Yield the whole dossier; *for_whom* is the late reader named in its heading, None the first time."""
    yield Notice(
        text="dossier_again" if for_whom else "dossier",
        values={
            "case": case.id,
            "line": LineName(case.line),
            "who": Who(for_whom) if for_whom else None,
            "requester": Who(case.requester),
            "patient": Label({language.value: patient_line(case, line, language) for language in Language}),
            "question": Clinical(str(case.answers.value(QUESTION) or "")),
            "answers": answered_rows(case, line),
            "missing": missing_labels(case, line),
            "documents": len(case.shown),
            "due": At(case.due_at) if case.due_at else None,
        },
        kind="dossier",
        data={"documents": len(case.shown), "incomplete": case.incomplete, "for": for_whom},
    )
    for document in case.shown:
        yield from document_notices(case, line, document)
    for question in case.questions:
        if question.answers:
            yield Notice(
                text="dossier_answer",
                values={
                    "n": question.n,
                    "question": Clinical(question.text),
                    "answer": Clinical("\n".join(question.answers)),
                },
                kind="dossier_answer",
                data={"n": question.n},
            )
    if case.draft is not None and for_whom:
        yield draft_notice(case, line)


def decision_label(case: Case, line: Line) -> Value:
    """Return the decision of the draft, in every language if it is one of the line's."""
    draft = case.draft
    decision = line.decision(draft.decision) if draft and draft.decision else None
    return Label({k.value: v for k, v in decision.labels.items()}) if decision else Word("decision_in_words")


def draft_notice(case: Case, line: Line) -> Notice:
    """Return the draft as the experts (and in open lines the requester) read it: headed as not signed."""
    draft = case.draft
    assert draft is not None  # Callers have one.
    return Notice(
        text="draft",
        values={
            "case": case.id,
            "version": draft.version,
            "by": Who(draft.by),
            "decision": decision_label(case, line),
            "decision_text": Clinical(draft.decision_text),
            "reasons": Clinical(draft.reasons),
            "recommendation": Clinical(draft.recommendation),
            "who_does_what": Clinical(draft.who_does_what),
        },
        kind="drafted",
        data={"version": draft.version},
        next=(("sign", "123456"), ("draft",), ("dissent",)),
    )


async def post_dossier(unit: Unit, case: Case, line: Line, *, for_whom: UserId | None = None) -> None:
    """Post the dossier into the case room."""
    for notice in dossier_notices(case, line, for_whom=for_whom):
        await unit.plan(Say(place=CaseRoom(case_id=case.id), notice=_of(case, notice)))


def _of(case: Case, notice: Notice) -> Notice:
    return replace(notice, case_id=case.id)
