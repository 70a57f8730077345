"""What is known of a file dropped into a case: its kind, its pictures, what its machine measured. Values only."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from enum import StrEnum

from bot.domain.errors import ConsiliumError


class DocumentKind(StrEnum):
    """What a file is, judged by its content."""

    ECG = "ecg"
    ECHO_LOOP = "echo_loop"
    DICOM_IMAGE = "dicom_image"  # one image or a series of slices, ultrasound stills included
    IMAGE = "image"
    PDF = "pdf"
    REPORT = "report"  # a DICOM structured report
    VIDEO = "video"  # moving pictures that are no ultrasound: angiography, a film from a phone
    DATA = "data"  # known, readable by a machine, not shown yet: an archive, SCP-ECG, ECG as XML
    UNKNOWN = "unknown"


class PreviewRole(StrEnum):
    """What a picture of a document shows."""

    ECG = "ecg"
    LOOP = "loop"
    STILL = "still"
    PAGE = "page"
    THUMBNAIL = "thumbnail"


class NoteCode(StrEnum):
    """What must be said about a document along with its pictures."""

    UNREADABLE = "unreadable"  # the kind is known, the content does not open
    UNSUPPORTED_SYNTAX = "unsupported_syntax"  # the pixels are packed in a way that nothing here reads: export again
    TRUNCATED = "truncated"  # the file ends too early; what is shown is what was there
    HEADER_MISMATCH = "header_mismatch"  # the pictures inside are not as the header says: nothing is shown
    TYPE_MISMATCH = "type_mismatch"  # the content is not what the sender's programme declared, see `disagrees`
    IMPLAUSIBLE_SAMPLES = "implausible_samples"  # parts of a tracing are left out: padding, or beyond any heart
    LEADS_MISSING = "leads_missing"  # a tracing without the twelve usual leads; what there is, is shown
    REGIONS_MISSING = "regions_missing"  # ultrasound that does not say where on the screen its picture is
    REGION_OUTSIDE = "region_outside"  # a region that reaches over the edge of its image
    PIXELS_NOT_CLEARED = "pixels_not_cleared"  # a name may stand in the picture itself
    TIMING_ASSUMED = "timing_assumed"  # a loop that does not say how fast it runs: 25 frames a second were taken
    LOOP_SHORTENED = "loop_shortened"  # the film shows the beginning only
    PAGES_LEFT_OUT = "pages_left_out"  # pages or slices beyond those that are shown
    NOT_SHOWN = "not_shown"  # a kind that is kept and offered as a file, without a picture
    LOCKED = "locked"  # a file that wants a password


class FactCode(StrEnum):
    """What a machine wrote into a document; the value is text, with the machine's own unit."""

    ECG_HEART_RATE = "ecg.heart_rate"
    ECG_RR = "ecg.rr"
    ECG_PP = "ecg.pp"
    ECG_P = "ecg.p"
    ECG_PR = "ecg.pr"
    ECG_QRS = "ecg.qrs"
    ECG_QT = "ecg.qt"
    ECG_QTC = "ecg.qtc"
    ECG_P_AXIS = "ecg.p_axis"
    ECG_QRS_AXIS = "ecg.qrs_axis"
    ECG_T_AXIS = "ecg.t_axis"
    ECG_STATEMENT = "ecg.statement"  # only where identity is kept: it is free text
    ECG_LEADS = "ecg.leads"
    ECG_DURATION = "ecg.duration"
    ECG_SAMPLING = "ecg.sampling"
    ECG_FILTER = "ecg.filter"
    LOOP_FRAMES = "loop.frames"
    LOOP_RATE = "loop.rate"
    LOOP_DURATION = "loop.duration"
    LOOP_HEART_RATE = "loop.heart_rate"
    IMAGE_SIZE = "image.size"
    IMAGE_SCALE = "image.scale"
    IMAGE_WINDOW = "image.window"
    PAGES = "pages"
    ENTRIES = "entries"
    AGE = "patient.age"
    SEX = "patient.sex"
    ECHO_LVEF = "echo.lvef"
    ECHO_LV_EDV = "echo.lv_edv"
    ECHO_LV_ESV = "echo.lv_esv"
    ECHO_GRADIENT_MEAN = "echo.gradient_mean"
    ECHO_GRADIENT_PEAK = "echo.gradient_peak"
    ECHO_VELOCITY_PEAK = "echo.velocity_peak"
    ECHO_AREA = "echo.area"


class RefusalCode(StrEnum):
    """Why a file was not examined at all."""

    EMPTY = "empty"
    TOO_LARGE = "too_large"
    BOMB = "bomb"  # small outside, far too large inside
    CRASHED = "crashed"
    TIME_LIMIT = "time_limit"
    MEMORY_LIMIT = "memory_limit"


class Refused(ConsiliumError):
    """The file was not examined; `code` says why. It carries nothing of the file."""

    def __init__(self, code: RefusalCode) -> None:
        super().__init__(code.value)
        self.code = code


@dataclass(frozen=True, slots=True, kw_only=True)
class Preview:
    """A picture or film that a phone shows; sizes in pixels."""

    role: PreviewRole
    mime: str
    data: bytes = field(repr=False)
    width: int
    height: int
    duration_ms: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class CleanCopy:
    """A copy of the file without identity, in an anonymous in-memory file at offset 0; whoever gets it closes `fd`."""

    fd: int
    size: int
    mime: str


@dataclass(frozen=True, slots=True, kw_only=True)
class IdentityFound:
    """What the file says about who it belongs to."""

    tags: int = 0
    """How many filled-in identifying entries its header has."""

    tokens: frozenset[str] = field(repr=False, default=frozenset())
    """Names, numbers and birth dates from the header, casefolded, to be looked for in texts."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Measurement:
    """One number of a structured report, with the codes that say what was measured, where and how."""

    scheme: str
    code: str
    meaning: str
    value: str
    unit: str
    site: str | None = None
    method: str | None = None
    fact: FactCode | None = None
    """The fact that this measurement is, for those that a form asks for."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Examined:
    """What came of looking into a file."""

    kind: DocumentKind
    mime: str
    modality: str | None = None
    """The DICOM modality (US, ECG, CT …)."""

    taken_on: date | None = None
    """Only where the line's policy keeps identity."""

    frames: int | None = None
    frame_rate: float | None = None
    facts: Mapping[FactCode, str] = field(repr=False, default_factory=dict)
    measurements: tuple[Measurement, ...] = field(repr=False, default=())
    previews: tuple[Preview, ...] = ()
    clean: CleanCopy | None = None
    identity: IdentityFound = field(default_factory=IdentityFound)
    notes: tuple[NoteCode, ...] = ()


_SAME_TYPE: Mapping[str, str] = {
    "image/jpg": "image/jpeg",
    "image/pjpeg": "image/jpeg",
    "image/x-png": "image/png",
    "image/tif": "image/tiff",
    "image/heif": "image/heic",
    "application/x-pdf": "application/pdf",
    "application/dicom+octet-stream": "application/dicom",
    "application/x-zip-compressed": "application/zip",
    "text/xml": "application/xml",
    "video/quicktime": "video/mp4",
    "video/x-m4v": "video/mp4",
}
_SAYS_NOTHING = frozenset({"", "application/octet-stream", "binary/octet-stream", "text/plain"})


def disagrees(declared: str, found: str) -> bool:
    """Say whether the type that a sender declared contradicts what the content is; an empty or general one does not."""
    claim = declared.partition(";")[0].strip().casefold()
    if claim in _SAYS_NOTHING or found in _SAYS_NOTHING:
        return False
    return _SAME_TYPE.get(claim, claim) != _SAME_TYPE.get(found, found)
