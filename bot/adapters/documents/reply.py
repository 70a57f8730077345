"""How a child tells its parent what it found: one JSON object, pictures beside it, and nothing believed unchecked."""

import json
import os
import re
from collections.abc import Mapping
from datetime import date
from typing import Any

from bot.adapters.documents.limits import Limits
from bot.domain.documents import (
    CleanCopy,
    DocumentKind,
    Examined,
    FactCode,
    IdentityFound,
    Measurement,
    NoteCode,
    Preview,
    PreviewRole,
    RefusalCode,
    Refused,
)

MOST_BYTES = 1 << 20
_MOST_TEXT = 500
_MOST_ITEMS = 400
_PICTURES = frozenset({"image/png", "image/jpeg", "video/mp4"})
_MIME = re.compile(r"[a-z]+/[a-z0-9.+-]{1,60}")
_UNSEEN = re.compile("[\x00-\x1f\x7f-\x9f\u200b-\u200f\u2028-\u202e\u2066-\u2069]")


class BrokenReplyError(Exception):
    """The child said something that no child of ours says."""


def refusal(code: RefusalCode) -> bytes:
    """Return the reply of a child that gives up."""
    return json.dumps({"refused": code.value}).encode()


def packed(found: Examined, pictures: int) -> bytes:
    """Write the previews into the file behind descriptor *pictures* and return the reply that describes all else.

    Raises:
        OSError: the kernel's limit for written files.
    """
    previews = []
    at = 0
    for one in found.previews:
        os.pwrite(pictures, one.data, at)
        size = {"at": at, "size": len(one.data), "width": one.width, "height": one.height, "ms": one.duration_ms}
        previews.append({"role": one.role.value, "mime": one.mime, **size})
        at += len(one.data)
    clean = found.clean
    return json.dumps(
        {
            "kind": found.kind.value,
            "mime": found.mime,
            "modality": found.modality,
            "taken_on": found.taken_on.isoformat() if found.taken_on else None,
            "frames": found.frames,
            "frame_rate": found.frame_rate,
            "facts": {code.value: text for code, text in found.facts.items()},
            "measurements": [
                [m.scheme, m.code, m.meaning, m.value, m.unit, m.site, m.method, m.fact] for m in found.measurements
            ],
            "previews": previews,
            "clean": {"size": clean.size, "mime": clean.mime} if clean else None,
            "tags": found.identity.tags,
            "tokens": sorted(found.identity.tokens),
            "notes": [note.value for note in found.notes],
        }
    ).encode()


def unpacked(reply: bytes, *, pictures: int, clean: int, limits: Limits) -> Examined:
    """Return what the child found. `clean.fd` is *clean* if there is a copy.

    Raises:
        Refused: the child gave up.
        BrokenReplyError: the reply is not as it must be.
    """
    try:
        said: Mapping[str, Any] = json.loads(reply)
        if "refused" in said:
            raise Refused(RefusalCode(said["refused"]))
        return Examined(
            kind=DocumentKind(said["kind"]),
            mime=_mime(said["mime"]),
            modality=_text(said["modality"]) or None,
            taken_on=date.fromisoformat(said["taken_on"]) if said["taken_on"] else None,
            frames=None if said["frames"] is None else int(said["frames"]),
            frame_rate=None if said["frame_rate"] is None else float(said["frame_rate"]),
            facts={FactCode(code): _text(text) for code, text in said["facts"].items()},
            measurements=tuple(_measurement(row) for row in said["measurements"][:_MOST_ITEMS]),
            previews=_previews(said["previews"], pictures, limits),
            clean=_clean(said["clean"], clean),
            identity=IdentityFound(
                tags=int(said["tags"]), tokens=frozenset(_text(token) for token in said["tokens"][:_MOST_ITEMS])
            ),
            notes=tuple(dict.fromkeys(NoteCode(note) for note in said["notes"])),
        )
    except (ValueError, KeyError, TypeError, AttributeError, IndexError, OSError, RecursionError):
        raise BrokenReplyError from None


def _previews(said: list[Mapping[str, Any]], pictures: int, limits: Limits) -> tuple[Preview, ...]:
    """Read the pictures, as many as may be held in memory together."""
    previews: list[Preview] = []
    left = limits.previews
    for one in said:
        at, size = int(one["at"]), int(one["size"])
        if not 0 < size <= min(limits.preview, left) or at < 0:
            continue
        data = os.pread(pictures, size, at)
        if len(data) != size or one["mime"] not in _PICTURES:
            raise ValueError
        left -= size
        previews.append(
            Preview(
                role=PreviewRole(one["role"]),
                mime=one["mime"],
                data=data,
                width=int(one["width"]),
                height=int(one["height"]),
                duration_ms=None if one["ms"] is None else int(one["ms"]),
            )
        )
    return tuple(previews)


def _clean(said: Mapping[str, Any] | None, clean: int) -> CleanCopy | None:
    if said is None:
        return None
    if int(said["size"]) != os.fstat(clean).st_size or not said["size"]:
        raise ValueError
    os.lseek(clean, 0, os.SEEK_SET)
    return CleanCopy(fd=clean, size=int(said["size"]), mime=_mime(said["mime"]))


def _measurement(row: list[Any]) -> Measurement:
    scheme, code, meaning, value, unit = (_text(part) for part in row[:5])
    site, method = (None if part is None else _text(part) for part in row[5:7])
    fact = None if row[7] is None else FactCode(row[7])
    return Measurement(
        scheme=scheme, code=code, meaning=meaning, value=value, unit=unit, site=site, method=method, fact=fact
    )


def _text(value: object) -> str:
    """Return a short text without control characters and without marks that turn the direction of writing."""
    return "" if value is None else _UNSEEN.sub(" ", str(value))[:_MOST_TEXT].strip()


def _mime(value: object) -> str:
    if not _MIME.fullmatch(str(value)):
        raise ValueError
    return str(value)
