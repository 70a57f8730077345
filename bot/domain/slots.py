"""Which slot of the form a document fills, judged by what it shows."""

from collections.abc import Collection, Mapping

from bot.domain.documents import DocumentKind
from bot.domain.forms import DocumentKind as SlotKind
from bot.domain.forms import Form

_FITS: Mapping[DocumentKind, tuple[SlotKind, ...]] = {
    DocumentKind.ECG: (SlotKind.ECG, SlotKind.HOLTER),
    DocumentKind.ECHO_LOOP: (SlotKind.ECHO,),
    DocumentKind.VIDEO: (SlotKind.ECHO, SlotKind.ANGIOGRAPHY),
    DocumentKind.REPORT: (SlotKind.REPORT,),
    DocumentKind.PDF: (SlotKind.LETTER, SlotKind.REPORT, SlotKind.HOLTER, SlotKind.ECG),
    DocumentKind.IMAGE: (SlotKind.PHOTO,),
}
_BY_MODALITY: Mapping[str, tuple[SlotKind, ...]] = {
    "CT": (SlotKind.CT,),
    "MR": (SlotKind.MRI,),
    "NM": (SlotKind.SCINTIGRAPHY,),
    "PT": (SlotKind.SCINTIGRAPHY,),
    "XA": (SlotKind.ANGIOGRAPHY,),
    "US": (SlotKind.ECHO,),
}


def slot_for(form: Form, kind: DocumentKind, modality: str | None, filled: Collection[str]) -> str | None:
    """Return the first empty slot that a document of this kind fits, the most telling kind first; else a filled one."""
    kinds = _BY_MODALITY.get(modality or "", ()) or _FITS.get(kind, ())
    fitting = [slot for wanted in kinds for slot in form.slots if slot.kind is wanted]
    empty = [slot for slot in fitting if slot.id not in filled]
    found = empty or [slot for slot in fitting if slot.kind is kinds[0]]
    return found[0].id if found else None
