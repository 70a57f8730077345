"""What every document reader does with a file, the real one in its child process and the one that tests use."""

import asyncio
import hashlib
import io
import os
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Literal

import av
import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image
from pydicom.encaps import encapsulate
from pydicom.pixels.processing import apply_color_lut
from pydicom.uid import JPEG2000, UID, ExplicitVRLittleEndian, JPEG2000Lossless, JPEGBaseline8Bit, RLELossless

from bot.adapters.documents import DocumentReader, Limits
from bot.domain.documents import DocumentKind, Examined, FactCode, NoteCode, PreviewRole, RefusalCode, Refused
from tests.fakes.documents import FakeDocumentReader
from tests.unit.documents import made

SALT = b"s" * 32
Reader = DocumentReader | FakeDocumentReader


@pytest.fixture
async def real() -> AsyncIterator[DocumentReader]:
    reader = DocumentReader()
    yield reader
    await reader.close()


@pytest.fixture(params=["real", "fake"])
async def reader(request: pytest.FixtureRequest) -> AsyncIterator[Reader]:
    chosen: Reader = DocumentReader() if request.param == "real" else FakeDocumentReader()
    yield chosen
    await chosen.close()


async def examine(
    reader: Reader, data: bytes, *, identity: Literal["strip", "keep"] = "strip", salt: bytes = SALT
) -> tuple[Examined, bytes]:
    """Return what *reader* finds in *data*, and the clean copy's bytes."""
    fd = os.memfd_create("test", os.MFD_CLOEXEC)
    try:
        os.pwrite(fd, data, 0)
        found = await reader.examine(fd, size=len(data), identity=identity, case_salt=salt)
    finally:
        os.close(fd)
    if found.clean is None:
        return found, b""
    with os.fdopen(found.clean.fd, "rb") as copy:
        return found, copy.read()


def preview(found: Examined, role: PreviewRole) -> NDArray[np.uint8]:
    """Return the pixels of the picture with that role, RGB."""
    data = next(one.data for one in found.previews if one.role is role)
    return np.asarray(Image.open(io.BytesIO(data)).convert("RGB"))


def frames_of(found: Examined) -> tuple[list[NDArray[np.uint8]], list[float]]:
    """Return the film's frames as a player shows them, grey, and their times in seconds."""
    data = next(one.data for one in found.previews if one.role is PreviewRole.LOOP)
    grey, times = [], []
    with av.open(io.BytesIO(data), "r") as container:
        for frame in container.decode(video=0):
            rgb = frame.to_ndarray(format="rgb24").astype(np.float32)
            grey.append((rgb @ np.array([0.299, 0.587, 0.114], np.float32)).round().astype(np.uint8))
            times.append(frame.time)
    return grey, times


def open_descriptors() -> int:
    """Return how many descriptors this process has open."""
    return sum(1 for _ in Path("/proc/self/fd").iterdir())


# What both do


async def test_an_empty_file_is_refused(reader: Reader) -> None:
    """A file of 0 bytes has a code of its own."""
    with pytest.raises(Refused) as refused:
        await examine(reader, b"")
    assert refused.value.code is RefusalCode.EMPTY


async def test_a_file_over_the_limit_is_refused_before_it_is_read(reader: Reader) -> None:
    """The size alone decides: not a byte is looked at."""
    fd = os.memfd_create("test", os.MFD_CLOEXEC)
    with pytest.raises(Refused) as refused:
        await reader.examine(fd, size=Limits().file + 1, identity="strip", case_salt=SALT)
    os.close(fd)
    assert refused.value.code is RefusalCode.TOO_LARGE


@pytest.mark.parametrize(
    "data,kind,mime,role",
    [
        (made.photo("JPEG"), DocumentKind.IMAGE, "image/jpeg", PreviewRole.THUMBNAIL),
        (made.photo("PNG"), DocumentKind.IMAGE, "image/png", PreviewRole.THUMBNAIL),
        (made.pdf(), DocumentKind.PDF, "application/pdf", PreviewRole.PAGE),
        (made.packaged("waveform_ecg.dcm"), DocumentKind.ECG, "application/dicom", PreviewRole.ECG),
        (made.loop(made.screens(3)), DocumentKind.ECHO_LOOP, "application/dicom", PreviewRole.LOOP),
        (made.packaged("CT_small.dcm"), DocumentKind.DICOM_IMAGE, "application/dicom", PreviewRole.STILL),
        (b"PK\x03\x04" + bytes(60), DocumentKind.DATA, "application/zip", None),
        (b"just some words", DocumentKind.UNKNOWN, "application/octet-stream", None),
    ],
    ids=["jpeg", "png", "pdf", "ecg", "loop", "ct", "zip", "words"],
)
async def test_a_file_is_told_by_its_content(
    reader: Reader, data: bytes, kind: DocumentKind, mime: str, role: PreviewRole | None
) -> None:
    """No name and no declared type is ever asked for; what is not shown says so."""
    found, _ = await examine(reader, data)
    assert (found.kind, found.mime) == (kind, mime)
    assert (role in {one.role for one in found.previews}) if role else NoteCode.NOT_SHOWN in found.notes
    for one in found.previews:
        assert one.data
        assert one.width > 0
        assert one.height > 0


async def test_the_clean_copy_of_a_photo_says_nothing_about_anybody(reader: Reader) -> None:
    """EXIF, comments, text and what hangs behind the picture are gone; the picture is there, its copy at offset 0."""
    for form in ("JPEG", "PNG"):
        data = made.photo(form)
        found, clean = await examine(reader, data)
        assert found.clean is not None
        assert found.clean.size == len(clean) > 0
        assert found.identity.tags > 0
        assert made.PLANTED.encode() in data
        assert made.PLANTED.encode() not in clean


async def test_the_callers_descriptor_stays_as_it_was(reader: Reader) -> None:
    """The file is read through a descriptor of its own: the caller's is neither closed nor moved."""
    data = made.photo()
    fd = os.memfd_create("test", os.MFD_CLOEXEC)
    os.pwrite(fd, data, 0)
    os.lseek(fd, 7, os.SEEK_SET)
    found = await reader.examine(fd, size=len(data), identity="strip", case_salt=SALT)
    assert os.lseek(fd, 0, os.SEEK_CUR) == 7
    assert os.pread(fd, len(data), 0) == data
    os.close(fd)
    if found.clean is not None:
        os.close(found.clean.fd)


async def test_what_identifies_is_counted_and_never_shown_by_repr(reader: Reader) -> None:
    """The header's names are handed over to look for them in texts, and no repr, so no log, shows them."""
    found, _ = await examine(reader, made.loop(made.screens(2)))
    assert found.identity.tags >= 5
    assert "zzplantedname" in found.identity.tokens
    assert made.PLANTED.lower() not in repr(found).lower()


async def test_no_descriptor_is_left_open(reader: Reader) -> None:
    """After a file that was examined and one that was refused, the process has the descriptors that it had before."""
    await examine(reader, made.photo())
    before = open_descriptors()
    await examine(reader, made.photo())
    await examine(reader, b"just some words")
    with pytest.raises(Refused):
        await examine(reader, b"")
    assert open_descriptors() == before


# Loops


async def test_a_loop_runs_at_its_own_speed_with_its_own_greys(real: DocumentReader) -> None:
    """120 frames in 4 seconds, and the greys of the source: video range is converted, not cut (1.2, 3)."""
    data = made.packaged("color3d_jpeg_baseline.dcm")
    found, _ = await examine(real, data)
    assert (found.kind, found.modality, found.frames) == (DocumentKind.ECHO_LOOP, "US", 120)
    assert found.frame_rate == pytest.approx(30.0, abs=0.01)
    assert found.facts[FactCode.IMAGE_SCALE] == "0.5105 mm/px"
    grey, times = frames_of(found)
    assert len(grey) == 120
    assert np.diff(times) == pytest.approx(np.full(119, 0.033333), abs=2e-5)
    film = next(one for one in found.previews if one.role is PreviewRole.LOOP)
    assert (film.mime, film.width, film.height, film.duration_ms) == ("video/mp4", 640, 480, 4000)
    source = made.reread(data)
    reference = np.asarray(Image.open(io.BytesIO(next(made.raw_frames(source)))).convert("L"))
    inside = (slice(60, 400), slice(120, 560))
    assert float(grey[0][inside].mean()) == pytest.approx(float(reference[inside].mean()), abs=0.5)
    assert float(np.abs(grey[0][inside].astype(int) - reference[inside]).mean()) < 2.5


async def test_a_film_says_how_its_colours_are_meant(real: DocumentReader) -> None:
    """Range and matrix are tagged, so that no player guesses; H.264 in 4:2:0, as every phone plays it."""
    found, _ = await examine(real, made.loop(made.screens(3)))
    data = found.previews[0].data
    with av.open(io.BytesIO(data), "r") as container:
        context = container.streams.video[0].codec_context
        assert (context.name, context.pix_fmt, context.color_range, context.colorspace) == ("h264", "yuv420p", 1, 6)
    assert data.index(b"moov") < data.index(b"mdat")


@pytest.mark.parametrize("syntax", [ExplicitVRLittleEndian, JPEGBaseline8Bit, JPEG2000Lossless])
async def test_nothing_outside_the_picture_regions_is_shown(real: DocumentReader, syntax: UID) -> None:
    """The stripe on top, where names stand, is black in film, still and copy; the wedge keeps its greys."""
    data = made.loop(made.screens(8), made.with_regions(made.region(0, 30, 159, 119)), syntax=syntax)
    found, clean = await examine(real, data)
    assert NoteCode.PIXELS_NOT_CLEARED not in found.notes
    grey, _ = frames_of(found)
    assert int(grey[3][:24].max()) <= 2
    assert int(preview(found, PreviewRole.STILL)[:24].max()) == 0
    wedge = made.screens(1)[0][80]
    assert float(np.abs(grey[3][80].astype(int) - wedge).mean()) < 3
    copied = made.reread(clean).pixel_array
    assert copied.shape == (8, 120, 160)
    assert int(copied[:, :30].max()) == 0
    if syntax != JPEGBaseline8Bit:
        assert np.array_equal(copied[:, 30:], made.screens(8)[:, 30:])


async def test_a_loop_without_regions_is_shown_whole_and_said_to_be_so(real: DocumentReader) -> None:
    """What cannot be called clean is never called so; absent tags mean nothing (1.3)."""
    found, clean = await examine(real, made.loop(made.screens(3), lambda ds: setattr(ds, "BurnedInAnnotation", "NO")))
    assert {NoteCode.REGIONS_MISSING, NoteCode.PIXELS_NOT_CLEARED} <= set(found.notes)
    assert int(preview(found, PreviewRole.STILL)[:20].min()) > 240
    assert made.reread(clean).PatientIdentityRemoved == "NO"


async def test_a_region_over_the_whole_screen_of_no_format_is_no_picture(real: DocumentReader) -> None:
    """Format 0 is what machines declare over clock and patient number (1.3)."""
    found, _ = await examine(real, made.loop(made.screens(2), made.with_regions(made.region(0, 0, 159, 119, kind=0))))
    assert NoteCode.REGIONS_MISSING in found.notes


async def test_regions_for_another_size_are_not_relied_on(real: DocumentReader) -> None:
    """A resampled file keeps the regions of its former size: cut to the image, and said (1.2)."""
    found, _ = await examine(real, made.packaged("examples_ybr_color.dcm"))
    assert {NoteCode.REGION_OUTSIDE, NoteCode.PIXELS_NOT_CLEARED} <= set(found.notes)


async def test_where_identity_is_kept_the_screen_stays_as_it_is(real: DocumentReader) -> None:
    """Between treating physicians: no mask, the date is told, and experts get the original, so no copy is made."""
    data = made.loop(made.screens(3), made.with_regions(made.region(0, 30, 159, 119)))
    found, _ = await examine(real, data, identity="keep")
    assert int(preview(found, PreviewRole.STILL)[:20].min()) > 240
    assert found.clean is None
    assert str(found.taken_on) == "2024-03-11"
    assert NoteCode.PIXELS_NOT_CLEARED not in found.notes


@pytest.mark.parametrize(
    "name", ["OBXXXX1A_rle_2frame.dcm", "OBXXXX1A_2frame.dcm", "OBXXXX1A_expb_2frame.dcm"], ids=["rle", "le", "be"]
)
async def test_palette_loops_come_in_their_colours_however_packed(real: DocumentReader, name: str) -> None:
    """The same loop run-length encoded, plain and big-endian gives the same still."""
    found, _ = await examine(real, made.packaged(name))
    still = preview(found, PreviewRole.STILL)
    source = made.reread(made.packaged("OBXXXX1A_2frame.dcm"))
    coloured = apply_color_lut(source.pixel_array[1], source) >> 8
    inside = (slice(62, 518), slice(122, 798))
    assert np.array_equal(still[inside], coloured[inside])
    assert NoteCode.TIMING_ASSUMED in found.notes


@pytest.mark.parametrize("codec", ["mpeg2video", "libx264", "libx265"])
async def test_a_film_inside_a_dicom_file_is_shown_and_masked(real: DocumentReader, codec: str) -> None:
    """DICOM libraries do not decode MPEG-2, H.264 and HEVC; names in them are masked all the same."""
    found, clean = await examine(real, made.film_loop(codec))
    assert found.kind is DocumentKind.ECHO_LOOP
    grey, times = frames_of(found)
    assert len(grey) == 20
    assert times[1] - times[0] == pytest.approx(0.04, abs=0.001)
    assert int(grey[10][:16].max()) <= 8
    assert float(np.abs(grey[10][80].astype(int) - made.screens(1)[0][80]).mean()) < 5
    assert clean == b""


async def test_an_odd_size_loses_a_line_and_nothing_else(real: DocumentReader) -> None:
    """Phones want even sizes: the last row and column are cut, the rest is not stretched."""
    pixels = made.screens(3, rows=121, columns=161)
    found, _ = await examine(real, made.loop(pixels))
    film = found.previews[0]
    assert (film.width, film.height) == (160, 120)
    assert float(np.abs(frames_of(found)[0][0][80].astype(int) - pixels[0][80][:160]).mean()) < 3


async def test_a_long_loop_is_shown_from_its_beginning(real: DocumentReader) -> None:
    """At most 600 frames become a film, and that there are more is said."""
    found, _ = await examine(real, made.loop(made.screens(640, rows=32, columns=32)))
    assert len(frames_of(found)[0]) == 600
    assert found.frames == 640
    assert NoteCode.LOOP_SHORTENED in found.notes


async def test_a_large_loop_is_made_smaller(real: DocumentReader) -> None:
    """No film is wider than 1280 pixels."""
    found, _ = await examine(real, made.loop(made.screens(2, rows=1000, columns=1600)))
    assert (found.previews[0].width, found.previews[0].height) == (1280, 800)


# ECG


async def test_an_ecg_stands_on_millimetre_paper_with_the_machines_own_values(real: DocumentReader) -> None:
    """8 pixels a millimetre, 270 mm wide; nothing is measured here, nothing converted."""
    found, clean = await examine(real, made.packaged("waveform_ecg.dcm"))
    picture = found.previews[0]
    assert (picture.role, picture.mime, picture.width) == (PreviewRole.ECG, "image/png", 2161)
    assert found.facts[FactCode.ECG_PR] == "161 ms"
    assert found.facts[FactCode.ECG_QTC] == "370 ms"
    assert found.facts[FactCode.ECG_QRS_AXIS] == "52°"
    assert FactCode.ECG_HEART_RATE not in found.facts
    assert FactCode.ECG_STATEMENT not in found.facts
    assert found.taken_on is None
    assert found.notes == ()
    copy = made.reread(clean)
    assert np.array_equal(copy.waveform_array(0), made.reread(made.packaged("waveform_ecg.dcm")).waveform_array(0))


async def test_an_ecgs_sentences_are_for_those_who_may_see_identity(real: DocumentReader) -> None:
    """A machine's interpretation is free text, where a name may stand."""
    found, _ = await examine(real, made.packaged("waveform_ecg.dcm"), identity="keep")
    assert found.facts[FactCode.ECG_STATEMENT] == "RITMO SINUSALE; ECG NORMALE"


# Images, reports, other films


async def test_a_photo_lies_as_it_was_taken(real: DocumentReader) -> None:
    """The orientation of EXIF is applied before EXIF goes."""
    found, clean = await examine(real, made.photo("JPEG", (64, 48), orientation=6))
    image = Image.open(io.BytesIO(clean))
    assert image.size == (48, 64)
    assert dict(image.getexif()) == {}
    red, _, blue = image.convert("RGB").getpixel((24, 4))  # type: ignore[misc]  # RGB gives three numbers
    assert red > blue
    assert (found.previews[0].width, found.previews[0].height) == (48, 64)


async def test_an_upright_photo_keeps_every_pixel(real: DocumentReader) -> None:
    """A JPEG that lies right is not packed a second time: its copy decodes to exactly the same."""
    data = made.photo("JPEG", (640, 480))
    _, clean = await examine(real, data)
    assert np.array_equal(np.asarray(Image.open(io.BytesIO(clean))), np.asarray(Image.open(io.BytesIO(data))))


@pytest.mark.parametrize("form", ["TIFF", "WEBP", "HEIF", "BMP", "GIF"])
async def test_other_picture_formats_become_jpeg(real: DocumentReader, form: str) -> None:
    """What a browser may not show is copied as JPEG."""
    if form == "HEIF":
        from pillow_heif import register_heif_opener

        register_heif_opener()
    found, clean = await examine(real, made.photo(form))
    assert found.kind is DocumentKind.IMAGE
    assert found.clean is not None
    assert found.clean.mime == "image/jpeg"
    red, _, blue = Image.open(io.BytesIO(clean)).convert("RGB").getpixel((4, 24))  # type: ignore[misc]  # the same
    assert red > blue
    assert made.PLANTED.encode() not in clean


async def test_a_pdf_shows_its_first_pages_and_is_not_copied(real: DocumentReader) -> None:
    """Three pages, the rest announced; names on the pages cannot be taken out here, so no copy is called clean."""
    found, clean = await examine(real, made.pdf(pages=5))
    assert [one.role for one in found.previews] == [PreviewRole.PAGE] * 3
    assert found.facts[FactCode.PAGES] == "5"
    assert {NoteCode.PAGES_LEFT_OUT, NoteCode.PIXELS_NOT_CLEARED} == set(found.notes)
    assert "zzplanted" in found.identity.tokens
    assert clean == b""
    page = preview(found, PreviewRole.PAGE)
    assert page.shape[0] == 1754
    assert int(page.min()) < 40
    assert int(page[0, 0].min()) == 255


async def test_a_report_gives_its_numbers_with_place_and_method_and_no_sentence(real: DocumentReader) -> None:
    """A gradient without its valve would be worse than none; text items are left out of facts and copy."""
    found, clean = await examine(real, made.echo_report())
    assert found.kind is DocumentKind.REPORT
    assert found.facts[FactCode.ECHO_LVEF] == "35 % (Left Ventricle, Biplane)"
    assert [(one.code, one.value, one.unit) for one in found.measurements] == [("18043-0", "35", "%")]
    assert made.PLANTED.encode() not in clean
    assert b"35" in clean


async def test_a_phones_film_becomes_small_and_silent(real: DocumentReader) -> None:
    """Where and by whom it was taken does not travel along."""
    data = made.film()
    found, _ = await examine(real, data)
    assert found.kind is DocumentKind.VIDEO
    assert made.PLANTED.encode() in data
    assert all(made.PLANTED.encode() not in one.data for one in found.previews)
    assert len(frames_of(found)[0]) == 12
    assert NoteCode.PIXELS_NOT_CLEARED in found.notes


async def test_slices_are_laid_out_on_one_sheet(real: DocumentReader) -> None:
    """Frames of a scanner are no film."""
    found, _ = await examine(real, made.packaged("emri_small_RLE.dcm"))
    assert found.kind is DocumentKind.DICOM_IMAGE
    assert found.frames == 10
    assert [one.role for one in found.previews] == [PreviewRole.STILL]
    assert found.previews[0].width > 900


# Identity


@pytest.mark.parametrize("salt", [b"a" * 32, b"b" * 32])
async def test_no_planted_identifier_survives_in_the_copy(real: DocumentReader, salt: bytes) -> None:
    """Names, numbers, places, sentences, nested and private entries: none is in the copy or in what is shown."""
    data = made.loop(made.screens(2), made.with_regions(made.region(0, 30, 159, 119)))
    found, clean = await examine(real, data, salt=salt)
    assert data.count(made.PLANTED.encode()) >= 12
    assert made.PLANTED.encode() not in clean
    for trace in (b"MARIE", b"19580730", b"20240311", b"1.2.826.0.1.3680043.8.498.1001"):
        assert trace in data
        assert trace not in clean
    copy = made.reread(clean)
    assert copy.PatientAge == "065Y"
    assert copy.PatientIdentityRemoved == "YES"
    assert [item.CodeValue for item in copy.DeidentificationMethodCodeSequence] == [
        "113100",
        "113107",
        "113108",
        "113101",
    ]
    assert copy.FrameTime == 40
    assert found.taken_on is None


async def test_pseudonyms_hold_within_a_case_and_nowhere_else(real: DocumentReader) -> None:
    """Two files of one study stay one study in a case; another case's copy cannot be put beside it."""
    data = made.loop(made.screens(2))
    first, second, other = [made.reread((await examine(real, data, salt=salt))[1]) for salt in (SALT, SALT, b"t" * 32)]
    for keyword in ("StudyInstanceUID", "SOPInstanceUID", "PatientID", "StudyDate"):
        assert first[keyword].value == second[keyword].value
        assert first[keyword].value != other[keyword].value


# Bad input


async def test_a_file_cut_in_the_middle_gets_a_true_answer(real: DocumentReader) -> None:
    """Whatever is shown comes with a note that something is missing; nothing crashes. A PDF may still show pages."""
    whole = [made.loop(made.screens(10)), made.photo(), made.pdf(3), made.film(), made.an_ecg()]
    cut = [data[: int(len(data) * share)] for data in whole for share in (0.3, 0.9)]
    said = {NoteCode.UNREADABLE, NoteCode.TRUNCATED, NoteCode.NOT_SHOWN}
    for found, _ in await asyncio.gather(*(examine(real, data) for data in cut)):
        assert said & set(found.notes) or found.kind is DocumentKind.PDF, found.kind


async def test_bombs_are_refused_and_cost_nothing(real: DocumentReader) -> None:
    """Headers that claim, streams that lie, pictures that inflate: each has its word, and the parent stays small."""
    lie = made.jpeg2000_header(20_000, 20_000)
    bombs = {
        "huge": made.image_of(JPEG2000, 20_000, 20_000, encapsulate([lie])),
        "many": made.image_of(ExplicitVRLittleEndian, 4000, 4000, bytes(64), frames=100_000),
        "run lengths": made.image_of(RLELossless, 30_000, 30_000, encapsulate([bytes(64) + b"\x81\0" * 1000])),
        "inflated": made.deflated(400_000_000),
        "nested": made.nested(100_000),
        "photo": made.png_of(30_000, 30_000),
    }
    for name, data in bombs.items():
        with pytest.raises(Refused) as refused:
            await examine(real, data)
        assert refused.value.code is RefusalCode.BOMB, name
    found, _ = await examine(real, made.image_of(JPEG2000, 100, 100, encapsulate([lie])))
    assert NoteCode.HEADER_MISMATCH in found.notes
    assert found.previews == ()


async def test_a_child_that_takes_too_long_is_ended() -> None:
    """The clock of the parent and the clock of the kernel end it with the same word."""
    data = made.loop(made.screens(600, rows=480, columns=480), made.with_regions(made.region(0, 30, 479, 479)))
    for limits in (Limits(wall_seconds=0.001), Limits(cpu_seconds=1)):
        reader = DocumentReader(limits=limits)
        with pytest.raises(Refused) as refused:
            await examine(reader, data)
        assert refused.value.code is RefusalCode.TIME_LIMIT
        await reader.close()


async def test_a_child_that_takes_too_much_memory_is_ended() -> None:
    """What does not fit into the child's address space is refused by a code, and the next file is read."""
    reader = DocumentReader(limits=Limits(memory=420 << 20))
    with pytest.raises(Refused) as refused:
        await examine(reader, made.photo("PNG", (7000, 7000)))
    assert refused.value.code in (RefusalCode.MEMORY_LIMIT, RefusalCode.CRASHED)
    found, _ = await examine(reader, made.photo("PNG"))
    assert found.kind is DocumentKind.IMAGE
    await reader.close()


async def test_an_examination_that_is_called_off_ends_its_child(real: DocumentReader) -> None:
    """Cancelling leaves neither child nor descriptor."""
    before = open_descriptors()
    task = asyncio.create_task(examine(real, made.loop(made.screens(300, rows=400, columns=400))))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert open_descriptors() == before
    found, _ = await examine(real, made.photo())
    assert found.kind is DocumentKind.IMAGE


async def test_the_walls_around_a_child_are_named(real: DocumentReader) -> None:
    """`consilium check` tells which ones the kernel gives; the limits are always there."""
    assert "limits" in await real.isolation()


async def test_files_of_one_case_are_read_side_by_side(real: DocumentReader) -> None:
    """Several at a time, each with its own answer."""
    sizes = [(64, 48), (80, 60), (96, 72), (112, 84)]
    found = await asyncio.gather(*(examine(real, made.photo("PNG", size)) for size in sizes))
    assert [one.facts[FactCode.IMAGE_SIZE] for one, _ in found] == ["64 x 48", "80 x 60", "96 x 72", "112 x 84"]


async def test_the_original_is_not_changed(real: DocumentReader, tmp_path: Path) -> None:
    """The child has a descriptor to read from, no more."""
    path = tmp_path / "loop"
    path.write_bytes(made.loop(made.screens(3)))
    before = hashlib.sha256(path.read_bytes()).hexdigest()
    fd = os.open(path, os.O_RDWR)
    found = await real.examine(fd, size=path.stat().st_size, identity="strip", case_salt=SALT)
    os.close(fd)
    assert found.clean is not None
    os.close(found.clean.fd)
    assert hashlib.sha256(path.read_bytes()).hexdigest() == before
