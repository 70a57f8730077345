"""Takes a dropped file in: fetched, kept under the case's key, made readable, matched to a slot, receipted."""

import os
from collections.abc import AsyncIterator
from dataclasses import replace

from bot.domain.audit import AuditEvent
from bot.domain.case import Case, Document, DocumentState, Picture
from bot.domain.documents import Examined, FactCode, NoteCode, RefusalCode, Refused, disagrees
from bot.domain.effects import DropFiles, TakeIn
from bot.domain.errors import Permanent, Refusal
from bot.domain.notice import Bullets, Label, Notice, Word
from bot.domain.prompts import SEX, next_prompt, status
from bot.domain.slots import slot_for
from bot.domain.steps import State
from bot.services.dossier import document_notices, files_of, missing_labels, slots_filled
from bot.services.intake import Intake
from bot.services.ports import Clock, DocumentReader, EncryptedFile, Rooms, Store, Vault
from bot.services.turn import Cases

_CHUNK = 1 << 20
MOST_PICTURES = 20
# What can be said about a file that was not taken; every other fault of the way to it is "other".
_SAID = frozenset({"empty", "too_large", "bomb", "duplicate", "bad_hash", "file_damaged", "not_found"})
# A file whose decoder gave up is kept and offered as it is; one that would harm is not kept at all.
_KEPT = frozenset({RefusalCode.CRASHED, RefusalCode.TIME_LIMIT, RefusalCode.MEMORY_LIMIT})


class Documents:
    """The way of a file from the homeserver into the dossier."""

    def __init__(
        self,
        *,
        cases: Cases,
        store: Store,
        vault: Vault,
        rooms: Rooms,
        reader: DocumentReader,
        intake: Intake,
        clock: Clock,
    ) -> None:
        self._cases = cases
        self._store = store
        self._vault = vault
        self._rooms = rooms
        self._reader = reader
        self._intake = intake
        self._clock = clock

    async def take_in(self, effect: TakeIn) -> None:
        """Carry out the effect: nothing is said before everything is stored; a repeat starts from the beginning."""
        async with self._store.unit() as unit:
            case = await self._cases.get(unit, effect.case_id)
        document = case.document(effect.n)
        if document is None or document.state is not DocumentState.RECEIVING:
            return
        most = min(self._cases.line(case).max_document_mb, self._cases.rules.most_document_mb)
        limit = most * 1_000_000
        file_id = f"document-{document.n}"
        try:
            stored = await self._vault.store(case.id, file_id, _at_most(self._rooms.download(_source(document)), limit))
        except (Refused, Permanent) as error:
            await self._vault.delete_file(case.id, file_id)
            await self._refuse(effect, error.code)
            return
        document = replace(document, file_id=file_id, sha256=stored.sha256, size=stored.size)
        twin = next(
            (
                d
                for d in case.documents
                if d.n != document.n and d.sha256 == stored.sha256 and d.state is DocumentState.READY
            ),
            None,
        )
        if twin is not None:
            await self._vault.delete_file(case.id, file_id)
            await self._refuse(effect, "duplicate", twin.n)
            return
        try:
            document = await self._examined(case, document)
        except Refused as refused:
            if refused.code not in _KEPT:
                await self._vault.delete_file(case.id, file_id)
                await self._refuse(effect, refused.code.value)
                return
            document = replace(document, state=DocumentState.READY, notes=(refused.code.value,))
        await self._receipt(effect, document)

    async def give_up(self, effect: TakeIn) -> None:
        """A document could not be taken in after several tries: say so, so that the case does not wait for it."""
        await self._refuse(effect, "other")

    async def drop(self, effect: DropFiles) -> None:
        """Carry out the effect: delete files that the case needs no more."""
        for file_id in effect.file_ids:
            await self._vault.delete_file(effect.case_id, file_id)

    async def _examined(self, case: Case, document: Document) -> Document:
        assert document.file_id is not None  # Stored a moment ago.
        line = self._cases.line(case)
        descriptor = await self._vault.memory_file(case.id, document.file_id)
        try:
            seen = await self._reader.examine(
                descriptor, size=document.size, identity=line.identity.value, case_salt=self._vault.salt(case.id)
            )
        finally:
            os.close(descriptor)
        pictures = []
        for i, preview in enumerate(seen.previews[:MOST_PICTURES]):
            file_id = _picture_file(document.file_id, i)
            await self._vault.store(case.id, file_id, _once(preview.data))
            pictures.append(
                Picture(
                    role=preview.role.value,
                    file_id=file_id,
                    mime=preview.mime,
                    width=preview.width,
                    height=preview.height,
                    duration_ms=preview.duration_ms,
                )
            )
        clean_id = await self._store_clean(case, document, seen)
        return replace(
            document,
            state=DocumentState.READY,
            kind=seen.kind,
            mime=seen.mime,
            slot=slot_for(
                line.form,
                seen.kind,
                seen.modality,
                slots_filled(replace(case, documents=tuple(d for d in case.documents if d.n != document.n))),
            ),
            pictures=tuple(pictures),
            clean_id=clean_id,
            clean_mime=seen.clean.mime if seen.clean else None,
            facts={str(k): v for k, v in seen.facts.items()},
            notes=(*map(str, seen.notes), *_more_notes(case, document, seen)),
            identifiers=seen.identity.tags,
        )

    async def _store_clean(self, case: Case, document: Document, seen: Examined) -> str | None:
        if seen.clean is None:
            return None
        file_id = f"{document.file_id}-clean"
        try:
            await self._vault.store(case.id, file_id, _from_descriptor(seen.clean.fd))
        finally:
            os.close(seen.clean.fd)
        return file_id

    async def _refuse(self, effect: TakeIn, code: str, twin: int | None = None) -> None:
        code = code if code in _SAID else "other"
        async with self._store.unit() as unit:
            case = await self._cases.get(unit, effect.case_id)
            document = case.document(effect.n)
            if document is None or document.state is not DocumentState.RECEIVING:
                return
            refused = replace(document, state=DocumentState.REFUSED, refusal=code, source={})
            after = case.with_document(refused)
            if code not in ("duplicate", "empty"):
                after = replace(after, incidents=(*after.incidents, (self._clock.now(), f"document_{code}")))
            await unit.audit(
                AuditEvent(kind="document_refused", by=None, case_id=case.id, facts={"n": document.n, "code": code})
            )
            notice = Notice(
                text=f"document_refused_{code}",
                values={"n": document.n, "twin": twin},
                kind="document_refused",
                data={"n": document.n, "code": code},
            )
            await self._cases.to_room(unit, after, notice, answers=document.event_id)
            await self._cases.save(unit, after)

    async def _receipt(self, effect: TakeIn, document: Document) -> None:
        async with self._store.unit() as unit:
            case = await self._cases.get(unit, effect.case_id)
            present = case.document(effect.n)
            if present is None or present.state is not DocumentState.RECEIVING:
                # Withdrawn while it was read: nothing of it stays.
                await unit.plan(DropFiles(case_id=case.id, file_ids=files_of(document)))
                return
            line = self._cases.line(case)
            before = self._open_prompt(case)
            after = case.with_document(replace(document, source={}))
            slot = line.form.get(document.slot) if document.slot else None
            now = status(line.form, after.answers, slots_filled(after), today=self._clock.now().date())
            notice = Notice(
                text="document_received",
                values={
                    "n": document.n,
                    "kind": Word(f"kind_{document.kind or 'unknown'}"),
                    "slot": Label({k.value: v for k, v in slot.labels.items()}) if slot else Word("no_slot"),
                    "kilobytes": max(1, document.size // 1000),
                    "notes": Bullets(tuple(Word(f"note_{n}") for n in document.notes)),
                    "missing": missing_labels(after, line) if case.state is State.COLLECTING else Bullets(()),
                },
                kind="document_received",
                data={
                    "n": document.n,
                    "sha256": document.sha256,
                    "document_kind": document.kind,
                    "slot": document.slot,
                    "bytes": document.size,
                    "notes": list(document.notes),
                    "missing": list(now.missing_required),
                },
            )
            await unit.audit(
                AuditEvent(
                    kind="document_ready",
                    by=None,
                    case_id=case.id,
                    facts={"n": document.n, "sha256": document.sha256 or ""},
                )
            )
            await self._cases.to_room(unit, after, notice, answers=document.event_id)
            shown = list(document_notices(after, line, document))
            # While collecting one picture shows what was understood; experts in the room get the whole document.
            first = [one for one in shown if one.attachment is not None and document.pictures][:1]
            for one in first if case.state is State.COLLECTING else shown if case.experts else ():
                await self._cases.to_room(unit, after, one)
            if case.state is State.COLLECTING and self._open_prompt(after) != before:
                after = await self._intake.ask_next(unit, after, self._clock.now())
            await self._cases.save(unit, after)

    def _open_prompt(self, case: Case) -> object:
        if case.state is not State.COLLECTING:
            return None
        form = self._cases.line(case).form
        return next_prompt(form, case.answers, slots_filled(case), case.passed, today=self._clock.now().date())


def _more_notes(case: Case, document: Document, seen: Examined) -> list[str]:
    """Return what only the case can tell: another type than was declared, another patient, a photograph as ECG."""
    notes = []
    if disagrees(document.mime, seen.mime):
        notes.append(NoteCode.TYPE_MISMATCH.value)
    sex, known = str(seen.facts.get(FactCode.SEX, "")).lower()[:1], str(case.answers.value(SEX) or "")
    if sex in ("f", "m") and known in ("f", "m") and sex != known:
        notes.append("other_patient")
    return notes


def _picture_file(file_id: str, i: int) -> str:
    return f"{file_id}-picture-{i}"


def _source(document: Document) -> EncryptedFile:
    source = document.source
    return EncryptedFile(
        url=str(source["url"]),
        key=str(source["key"]),
        iv=str(source["iv"]),
        sha256=str(source["sha256"]),
        size=int(source.get("size", 0)),
    )


async def _at_most(chunks: AsyncIterator[bytes], limit: int) -> AsyncIterator[bytes]:
    """Pass *chunks* on; raise Refused as soon as they are more than *limit* bytes or in the end none."""
    total = 0
    async for chunk in chunks:
        total += len(chunk)
        if total > limit:
            raise Refused(RefusalCode.TOO_LARGE)
        yield chunk
    if total == 0:
        raise Refused(RefusalCode.EMPTY)


async def _once(data: bytes) -> AsyncIterator[bytes]:
    yield data


async def _from_descriptor(descriptor: int) -> AsyncIterator[bytes]:
    os.lseek(descriptor, 0, os.SEEK_SET)
    while chunk := os.read(descriptor, _CHUNK):
        yield chunk


def file_source(content: dict[str, object]) -> tuple[dict[str, str | int], int, str]:
    """Return the encrypted file that a message carries, its claimed size in bytes and its claimed type.

    Raises:
        Refusal: `file_not_encrypted` if it is none.
    """
    file, info = content.get("file"), content.get("info")
    if not isinstance(file, dict):
        raise Refusal("file_not_encrypted")
    key, hashes = file.get("key"), file.get("hashes")
    claimed = info if isinstance(info, dict) else {}
    if not isinstance(key, dict) or not isinstance(hashes, dict):
        raise Refusal("file_not_encrypted")
    words = {"url": file.get("url"), "key": key.get("k"), "iv": file.get("iv"), "sha256": hashes.get("sha256")}
    if not all(isinstance(word, str) and word for word in words.values()):
        raise Refusal("file_not_encrypted")
    size = claimed.get("size")
    mime = claimed.get("mimetype")
    return (
        {k: str(v) for k, v in words.items()},
        size if isinstance(size, int) and size >= 0 else 0,
        mime if isinstance(mime, str) else "",
    )
