"""Files that the tests make: small, synthetic, with identities that exist nowhere."""

import io
import struct
import zlib
from collections.abc import Callable, Iterator, Sequence
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pydicom
from numpy.typing import NDArray
from PIL import Image
from PIL.PngImagePlugin import PngInfo
from pydicom.data import get_testdata_file
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.encaps import encapsulate, generate_frames
from pydicom.sequence import Sequence as Items
from pydicom.uid import (
    HEVCMP51,
    MPEG2MPML,
    MPEG4HP41,
    UID,
    DeflatedExplicitVRLittleEndian,
    ExplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGBaseline8Bit,
)

PLANTED = "ZZPLANTED"
"""Begins every name, number and sentence that identifies somebody in these files."""

ULTRASOUND_LOOP = "1.2.840.10008.5.1.4.1.1.3.1"
ULTRASOUND_IMAGE = "1.2.840.10008.5.1.4.1.1.6.1"
TWELVE_LEADS = "1.2.840.10008.5.1.4.1.1.9.1.1"

Edit = Callable[[Dataset], object]


def packaged(name: str) -> bytes:
    """Return a file that the packages pydicom and pydicom-data ship."""
    path = get_testdata_file(name, download=False)
    assert isinstance(path, str), name
    return Path(path).read_bytes()


def header(sop_class: str, modality: str) -> Dataset:
    """Return the beginnings of a DICOM file whose every identifying entry is planted."""
    dataset = Dataset()
    dataset.SOPClassUID = sop_class
    dataset.SOPInstanceUID = "1.2.826.0.1.3680043.8.498.1001"
    dataset.StudyInstanceUID = "1.2.826.0.1.3680043.8.498.1002"
    dataset.SeriesInstanceUID = "1.2.826.0.1.3680043.8.498.1003"
    dataset.Modality = modality
    dataset.StudyDate = dataset.ContentDate = "20240311"
    dataset.StudyTime = "101112"
    dataset.PatientName = f"{PLANTED}NAME^MARIE"
    dataset.PatientID = f"{PLANTED}85073003328"
    dataset.PatientBirthDate = "19580730"
    dataset.PatientSex = "F"
    dataset.OtherPatientNames = f"{PLANTED}MAIDEN"
    dataset.ReferringPhysicianName = f"{PLANTED}REFERRER"
    dataset.InstitutionName = f"{PLANTED}HOSPITAL"
    dataset.StudyDescription = f"{PLANTED} echo of Marie"
    dataset.AccessionNumber = f"{PLANTED}ACC"
    dataset.StationName = f"{PLANTED}STATION"
    dataset.PatientComments = f"{PLANTED} lives alone"
    dataset.ImageComments = f"{PLANTED} comment"
    dataset.Manufacturer = "Made here"
    nested = Dataset()
    nested.PersonName = f"{PLANTED}OBSERVER"
    nested.InstitutionName = f"{PLANTED}WARD"
    dataset.PersonIdentificationCodeSequence = Items([nested])
    block = dataset.private_block(0x0011, f"{PLANTED}MAKER", create=True)
    block.add_new(0x01, "LO", f"{PLANTED}PRIVATE")
    return dataset


def written(dataset: Dataset, syntax: UID = ExplicitVRLittleEndian) -> bytes:
    """Return *dataset* as the bytes of a file."""
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = syntax
    dataset.file_meta.MediaStorageSOPClassUID = dataset.SOPClassUID
    dataset.file_meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID
    out = io.BytesIO()
    dataset.save_as(out, enforce_file_format=True)
    return out.getvalue()


def region(left: int, top: int, right: int, bottom: int, kind: int = 1) -> Dataset:
    """Return an ultrasound region of that spatial format, in centimetres of half a millimetre."""
    item = Dataset()
    item.RegionSpatialFormat, item.RegionDataType, item.RegionFlags = kind, 1, 0
    item.RegionLocationMinX0, item.RegionLocationMinY0 = left, top
    item.RegionLocationMaxX1, item.RegionLocationMaxY1 = right, bottom
    item.PhysicalUnitsXDirection = item.PhysicalUnitsYDirection = 3
    item.PhysicalDeltaX, item.PhysicalDeltaY = -0.05, 0.05
    return item


def describe_pixels(dataset: Dataset, pixels: NDArray[np.uint8], photometric: str) -> None:
    """Set what an image header must say of *pixels*: (frames, rows, columns) or with a last axis of colours."""
    dataset.Rows, dataset.Columns = pixels.shape[1:3]
    dataset.SamplesPerPixel = 3 if pixels.ndim == 4 else 1
    dataset.PhotometricInterpretation = photometric
    dataset.BitsAllocated = dataset.BitsStored = 8
    dataset.HighBit, dataset.PixelRepresentation = 7, 0
    if pixels.ndim == 4:
        dataset.PlanarConfiguration = 0
    if len(pixels) > 1:
        dataset.NumberOfFrames = len(pixels)


def screens(frames: int, rows: int = 120, columns: int = 160) -> NDArray[np.uint8]:
    """Return grey frames: a bright stripe on top where a name would stand, below it a wedge that brightens."""
    stack = np.zeros((frames, rows, columns), np.uint8)
    stack[:, :20] = 250
    for n in range(frames):
        stack[n, 30:, :] = np.linspace(0, 255, columns, dtype=np.uint8)
        stack[n, 40:50, 5 * (n % 20) : 5 * (n % 20) + 8] = 255
    return stack


def loop(
    pixels: NDArray[np.uint8], *edits: Edit, syntax: UID = ExplicitVRLittleEndian, photometric: str = "MONOCHROME2"
) -> bytes:
    """Return an ultrasound loop, 25 frames a second unless an edit says otherwise."""
    dataset = header(ULTRASOUND_LOOP, "US")
    describe_pixels(dataset, pixels, photometric)
    dataset.FrameTime = "40"
    dataset.FrameIncrementPointer = 0x00181063
    for edit in edits:
        edit(dataset)
    if syntax == JPEGBaseline8Bit:
        dataset.PixelData = encapsulate([jpeg(frame) for frame in pixels])
    elif syntax == JPEG2000Lossless:
        dataset.PixelData = encapsulate([_image_bytes(frame, "JPEG2000", irreversible=False) for frame in pixels])
    else:
        dataset.PixelData = pixels.tobytes()
    return written(dataset, syntax)


def with_regions(*regions: Dataset) -> Edit:
    """Return an edit that declares *regions*."""
    return lambda dataset: setattr(dataset, "SequenceOfUltrasoundRegions", Items(regions))


def jpeg(pixels: NDArray[np.uint8], **options: object) -> bytes:
    """Return *pixels* as a JPEG file."""
    return _image_bytes(pixels, "JPEG", quality=92, **options)


def ecg(
    millivolts: NDArray[np.float64], names: Sequence[str], *edits: Edit, rate: int = 500, padding: bytes | None = None
) -> bytes:
    """Return a DICOM ECG of (samples, leads) in steps of 2.5 microvolts."""
    dataset = header(TWELVE_LEADS, "ECG")
    group = Dataset()
    group.WaveformOriginality = "ORIGINAL"
    group.NumberOfWaveformChannels, group.NumberOfWaveformSamples = len(names), len(millivolts)
    group.SamplingFrequency = rate
    group.MultiplexGroupLabel = "RHYTHM"
    group.WaveformBitsAllocated, group.WaveformSampleInterpretation = 16, "SS"
    if padding is not None:
        group.add_new(0x5400100A, "OW", padding)
    group.ChannelDefinitionSequence = Items([_channel(name) for name in names])
    group.WaveformData = np.round(millivolts * 400).clip(-32768, 32767).astype("<i2").tobytes()
    dataset.WaveformSequence = Items([group])
    for edit in edits:
        edit(dataset)
    return written(dataset)


def annotated(meaning: str, value: str, unit: str) -> Dataset:
    """Return a machine's measurement of an ECG, in words rather than in a scheme's code."""
    item = Dataset()
    item.ConceptNameCodeSequence = Items([_coded("X", "99MADE", meaning)])
    item.MeasurementUnitsCodeSequence = Items([_coded(unit, "UCUM", unit)])
    item.NumericValue = value
    return item


def _channel(name: str) -> Dataset:
    channel = Dataset()
    channel.ChannelSourceSequence = Items([_coded("MADE", "99MADE", f"Lead {name}")])
    channel.ChannelSensitivity = "2.5"
    channel.ChannelSensitivityUnitsSequence = Items([_coded("uV", "UCUM", "microvolt")])
    channel.ChannelSensitivityCorrectionFactor, channel.ChannelBaseline = "1", "0"
    channel.WaveformBitsStored = 16
    channel.FilterLowFrequency, channel.FilterHighFrequency, channel.NotchFilterFrequency = "0.05", "150", "50"
    return channel


def _coded(value: str, scheme: str, meaning: str) -> Dataset:
    item = Dataset()
    item.CodeValue, item.CodingSchemeDesignator, item.CodeMeaning = value, scheme, meaning
    return item


def heartbeats(seconds: float, leads: int, rate: int = 500) -> NDArray[np.float64]:
    """Return (samples, leads) in millivolts: one narrow spike a second of 1 mV, smaller from lead to lead."""
    at = np.arange(round(seconds * rate)) / rate
    spike = np.exp(-(((at % 1.0) - 0.5) ** 2) / (2 * 0.012**2))
    return np.column_stack([spike * (1 - 0.05 * n) for n in range(leads)])


def photo(form: str = "JPEG", size: tuple[int, int] = (64, 48), *, orientation: int = 1) -> bytes:
    """Return a picture that says who and where in EXIF, comment and text, with a red left half."""
    image = Image.new("RGB", size, (20, 40, 200))
    image.paste((220, 30, 30), (0, 0, size[0] // 2, size[1]))
    exif = Image.Exif()
    exif[0x010E] = f"{PLANTED} description"
    exif[0x013B] = f"{PLANTED} artist"
    exif[0x0112] = orientation
    out = io.BytesIO()
    if form == "PNG":
        text = PngInfo()
        text.add_text("Author", f"{PLANTED} author")
        image.save(out, form, exif=exif, pnginfo=text)
    elif form == "JPEG":
        image.save(out, form, exif=exif, comment=f"{PLANTED} comment".encode(), quality=90)
        return out.getvalue() + f"{PLANTED} after the end".encode()
    else:
        image.save(out, form, exif=exif)
    return out.getvalue()


def pdf(pages: int = 1, author: str = f"{PLANTED} author") -> bytes:
    """Return a PDF with a line of text a page and properties that name somebody."""
    kids = " ".join(f"{4 + 2 * n} 0 R" for n in range(pages))
    objects = [
        "<< /Type /Catalog /Pages 2 0 R >>",
        f"<< /Type /Pages /Kids [{kids}] /Count {pages} >>",
        "<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>",
    ]
    for n in range(pages):
        text = f"BT /F1 24 Tf 72 700 Td (Page {n + 1}) Tj ET"
        objects.append(
            f"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 595 842] /Contents {5 + 2 * n} 0 R "
            "/Resources << /Font << /F1 3 0 R >> >> >>"
        )
        objects.append(f"<< /Length {len(text)} >>\nstream\n{text}\nendstream")
    objects.append(f"<< /Author ({author}) /Title (Letter) >>")
    body, places = "%PDF-1.4\n", []
    for n, content in enumerate(objects, 1):
        places.append(len(body))
        body += f"{n} 0 obj\n{content}\nendobj\n"
    table = "".join(f"{place:010d} 00000 n \n" for place in places)
    trailer = f"<< /Size {len(objects) + 1} /Root 1 0 R /Info {len(objects)} 0 R >>"
    body += (
        f"xref\n0 {len(objects) + 1}\n0000000000 65535 f \n{table}trailer\n{trailer}\nstartxref\n{len(body)}\n%%EOF\n"
    )
    return body.encode("latin-1")


def film(frames: int = 12, rate: int = 24, size: tuple[int, int] = (64, 48)) -> bytes:
    """Return an MP4 as a phone makes it, with a place and a name in its metadata."""
    out = io.BytesIO()
    with av.open(out, "w", format="mp4") as container:
        container.metadata["comment"] = f"{PLANTED} +50.8503+004.3517/"
        stream = container.add_stream("libx264", rate=rate)
        stream.width, stream.height = size
        stream.pix_fmt = "yuv420p"
        for n in range(frames):
            picture = np.full((size[1], size[0], 3), 20 * n % 255, np.uint8)
            frame = av.VideoFrame.from_ndarray(picture, format="rgb24")
            frame.pts, frame.time_base = n, Fraction(1, rate)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return out.getvalue()


def png_of(width: int, height: int) -> bytes:
    """Return a PNG of one bit a pixel, all black, of any size, without ever holding it."""

    def chunk(name: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    packer = zlib.compressobj(9)
    row = bytes(width // 8 + 1)
    data = b"".join(packer.compress(row) for _ in range(height)) + packer.flush()
    start = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 1, 0, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + start + chunk(b"IDAT", data) + chunk(b"IEND", b"")


def reread(data: bytes) -> Dataset:
    """Return the DICOM data set in *data*."""
    return pydicom.dcmread(io.BytesIO(data))


def _image_bytes(pixels: NDArray[np.uint8], form: str, **options: object) -> bytes:
    out = io.BytesIO()
    Image.fromarray(pixels).save(out, form, **options)
    return out.getvalue()


def raw_frames(dataset: Dataset) -> Iterator[bytes]:
    """Yield the packed frames of *dataset*."""
    yield from generate_frames(dataset.PixelData, number_of_frames=int(dataset.NumberOfFrames))


def film_loop(codec: str) -> bytes:
    """Return an ultrasound loop of 20 frames whose pixels are one MPEG-2, H.264 or HEVC stream, with a region."""
    pixels = screens(20)
    out = io.BytesIO()
    with av.open(out, "w", format="mpegts") as container:
        stream = container.add_stream(codec, rate=25)
        assert isinstance(stream, av.VideoStream)
        stream.height, stream.width = pixels.shape[1:]
        stream.pix_fmt = "yuv420p"
        stream.bit_rate = 4_000_000
        if codec == "libx265":
            stream.options = {"x265-params": "log-level=none"}
        for n, picture in enumerate(pixels):
            frame = av.VideoFrame.from_ndarray(picture, format="gray").reformat(
                format="yuv420p", src_color_range="JPEG", dst_color_range="MPEG"
            )
            frame.pts, frame.time_base = n, Fraction(1, 25)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    dataset = header(ULTRASOUND_LOOP, "US")
    describe_pixels(dataset, pixels, "YBR_PARTIAL_420")
    dataset.SamplesPerPixel = 3
    dataset.FrameTime = "40"
    dataset.FrameIncrementPointer = 0x00181063
    with_regions(region(0, 30, 159, 119))(dataset)
    dataset.PixelData = encapsulate([out.getvalue()])
    return written(dataset, {"mpeg2video": MPEG2MPML, "libx264": MPEG4HP41, "libx265": HEVCMP51}[codec])


def echo_report() -> bytes:
    """Return a structured report with one measurement, its place and method, and a sentence that names somebody."""
    dataset = header("1.2.840.10008.5.1.4.1.1.88.33", "SR")
    measured = Dataset()
    measured.NumericValue = "35"
    measured.MeasurementUnitsCodeSequence = Items([_coded("%", "UCUM", "percent")])
    number = _item("NUM", "CONTAINS", _coded("18043-0", "LN", "Left Ventricular Ejection Fraction"))
    number.MeasuredValueSequence = Items([measured])
    number.ContentSequence = Items([_coded_item("370129005", "Measurement Method", "BP", "Biplane")])
    sentence = _item("TEXT", "CONTAINS", _coded("121071", "DCM", "Finding"))
    sentence.TextValue = f"{PLANTED} is breathless"
    group = _item("CONTAINER", "CONTAINS", _coded("121070", "DCM", "Findings"))
    group.ContentSequence = Items(
        [_coded_item("363698007", "Finding Site", "T-32600", "Left Ventricle"), number, sentence]
    )
    dataset.ValueType = "CONTAINER"
    dataset.ContentSequence = Items([group])
    return written(dataset)


def an_ecg() -> bytes:
    """Return twelve leads of ten seconds."""
    names = ("I", "II", "III", "aVR", "aVL", "aVF", "V1", "V2", "V3", "V4", "V5", "V6")
    return ecg(heartbeats(10, 12), names)


def image_of(syntax: UID, rows: int, columns: int, pixels: bytes, *, frames: int = 1) -> bytes:
    """Return an ultrasound image that claims a size, with whatever pixels."""
    dataset = header(ULTRASOUND_IMAGE, "US")
    describe_pixels(dataset, np.zeros((1, 1, 1), np.uint8), "MONOCHROME2")
    dataset.Rows, dataset.Columns = rows, columns
    if frames > 1:
        dataset.NumberOfFrames = frames
    dataset.PixelData = pixels
    return written(dataset, syntax)


def jpeg2000_header(width: int, height: int) -> bytes:
    """Return the start of a JPEG 2000 stream of that size, and its end."""
    size = struct.pack(">HHIIIIIIIIH", 41, 0, width, height, 0, 0, width, height, 0, 0, 1) + b"\x07\x01\x01"
    return b"\xff\x4f\xff\x51" + size + b"\xff\xd9"


def deflated(inflated: int) -> bytes:
    """Return a deflated DICOM file whose data set is that many bytes once inflated."""
    plain = written(header(ULTRASOUND_IMAGE, "US"), DeflatedExplicitVRLittleEndian)
    start = 144 + int.from_bytes(plain[140:144], "little")
    packer = zlib.compressobj(9, zlib.DEFLATED, -zlib.MAX_WBITS)
    head = b"\x08\x00\x60\x00CS\x02\x00US\xe0\x7f\x10\x00OB\0\0" + struct.pack("<I", inflated)
    pieces = [packer.compress(head)]
    pieces += [packer.compress(bytes(1_000_000)) for _ in range(inflated // 1_000_000)]
    return plain[:start] + b"".join(pieces) + packer.flush()


def nested(depth: int) -> bytes:
    """Return a DICOM file with sequences in sequences."""
    plain = written(header(ULTRASOUND_IMAGE, "US"))
    start = 144 + int.from_bytes(plain[140:144], "little")
    return plain[:start] + b"\x08\x00\x40\x11SQ\0\0\xff\xff\xff\xff\xfe\xff\x00\xe0\xff\xff\xff\xff" * depth


def _item(kind: str, relation: str, concept: Dataset) -> Dataset:
    item = Dataset()
    item.ValueType, item.RelationshipType = kind, relation
    item.ConceptNameCodeSequence = Items([concept])
    return item


def _coded_item(concept: str, concept_meaning: str, value: str, meaning: str) -> Dataset:
    item = _item("CODE", "HAS CONCEPT MOD", _coded(concept, "SCT", concept_meaning))
    item.ConceptCodeSequence = Items([_coded(value, "SCT", meaning)])
    return item
