"""From a DICOM waveform to millivolts, to millimetres, to pixels."""

import io

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence

from bot.adapters.documents.ecg import values_line
from bot.adapters.documents.ecg_paper import MM_PER_SECOND, PIXELS_PER_MM, arrange, draw, off_centre
from bot.adapters.documents.ecg_signal import STANDARD, Ecg, Lead, read_ecg
from bot.adapters.documents.ecg_values import machine_values, statements
from bot.domain.documents import FactCode
from tests.unit.documents import made

_LEFT = 15 * PIXELS_PER_MM


def read(data: bytes) -> Ecg:
    """Return the ECG in *data*."""
    found = read_ecg(made.reread(data))
    assert found is not None
    return found


def an_ecg(seconds: float = 10, names: tuple[str, ...] = STANDARD, rate: int = 500) -> Ecg:
    """Return an ECG with a spike of 1 mV at every half second and nothing else."""
    beats = made.heartbeats(seconds, len(names), rate).astype(np.float32)
    leads = tuple(Lead(name=name, millivolts=beats[:, n]) for n, name in enumerate(names))
    return Ecg(rate=rate, leads=leads, filters="0.05-150 Hz", left_out=0, truncated=False)


def ink(ecg: Ecg) -> NDArray[np.bool_]:
    """Return where the picture is black, as (rows, columns)."""
    picture = np.asarray(Image.open(io.BytesIO(draw(ecg).data)).convert("L"))
    return picture < 80


def test_counts_become_millivolts_by_the_files_own_calibration() -> None:
    """Sensitivity, correction and baseline as PS3.3 C.10.9 says; the same as the reference reader gives."""
    data = made.packaged("waveform_ecg.dcm")
    reference = made.reread(data).waveform_array(0) / 1000
    found = read(data)
    assert [lead.name for lead in found.leads] == list(STANDARD)
    assert (found.rate, found.filters, found.left_out) == (1000, "0.05-300 Hz", 0)
    for n, lead in enumerate(found.leads):
        assert np.allclose(lead.millivolts, reference[:, n], atol=1e-4)


def test_a_channel_without_calibration_is_not_drawn() -> None:
    """A tracing without scale is no tracing."""

    def uncalibrated(dataset: Dataset) -> None:
        del dataset.WaveformSequence[0].ChannelDefinitionSequence[1].ChannelSensitivity

    found = read(made.ecg(made.heartbeats(10, 3), ("V1", "V2", "V3"), uncalibrated))
    assert [lead.name for lead in found.leads] == ["V1", "V3"]


@pytest.mark.parametrize("unit,factor", [("uV", 1.0), ("mV", 1000.0), ("V", 1_000_000.0)])
def test_units_are_heeded(unit: str, factor: float) -> None:
    """Microvolts, millivolts, volts."""

    def in_unit(dataset: Dataset) -> None:
        channel = dataset.WaveformSequence[0].ChannelDefinitionSequence[0]
        channel.ChannelSensitivityUnitsSequence[0].CodeValue = unit
        channel.ChannelSensitivity = f"{2.5 / factor:.10g}"

    assert float(read(made.ecg(made.heartbeats(10, 1), ("V1",), in_unit)).leads[0].millivolts.max()) == pytest.approx(1)


def test_padding_of_zero_is_not_believed() -> None:
    """Some machines declare it, and a line that rests at zero would fall apart (1.6)."""
    found = read(made.ecg(made.heartbeats(10, 1), ("II",), padding=b"\x00\x00"))
    assert found.left_out == 0
    assert not np.isnan(found.leads[0].millivolts).any()


def test_padding_and_impossible_samples_are_left_out_and_counted() -> None:
    """Declared padding, and anything beyond 20 mV whether declared or not."""
    millivolts = made.heartbeats(10, 1)
    millivolts[100:110] = -81.92
    found = read(made.ecg(millivolts, ("II",)))
    assert found.left_out == 10
    assert np.isnan(found.leads[0].millivolts[100:110]).all()
    millivolts[200:205] = 3.0
    declared = read(made.ecg(millivolts, ("II",), padding=(1200).to_bytes(2, "little", signed=True)))
    assert declared.left_out == 15


def test_missing_limb_leads_follow_from_two() -> None:
    """Einthoven and Goldberger, marked as computed."""
    rng = np.random.default_rng(1)
    found = read(made.ecg(rng.normal(0, 0.3, (5000, 8)), ("I", "II", "V1", "V2", "V3", "V4", "V5", "V6")))
    assert found.is_standard
    one, two, three, right = (found.lead(name) for name in ("I", "II", "III", "aVR"))
    assert one is not None
    assert two is not None
    assert three is not None
    assert right is not None
    assert three.derived
    assert not two.derived
    assert np.allclose(three.millivolts, two.millivolts - one.millivolts, atol=1e-5)
    assert np.allclose(right.millivolts, -(one.millivolts + two.millivolts) / 2, atol=1e-5)


def test_averaged_beats_are_not_the_rhythm() -> None:
    """Median beats stand in a group of their own, sometimes before the rhythm."""

    def medians_first(dataset: Dataset) -> None:
        rhythm = dataset.WaveformSequence[0]
        median = made.reread(made.ecg(made.heartbeats(1.2, 1), ("V1",))).WaveformSequence[0]
        median.WaveformOriginality, median.MultiplexGroupLabel = "DERIVED", "MEDIAN BEAT"
        dataset.WaveformSequence = Sequence([median, rhythm])

    assert read(made.ecg(made.heartbeats(10, 1), ("II",), medians_first)).seconds == 10


def test_an_ecg_that_ends_early_is_read_as_far_as_it_goes() -> None:
    """The header's count is not believed."""

    def claims_more(dataset: Dataset) -> None:
        dataset.WaveformSequence[0].NumberOfWaveformSamples = 2**31

    found = read(made.ecg(made.heartbeats(10, 1), ("II",), claims_more))
    assert found.seconds == 10
    assert found.truncated


def test_the_machines_values_are_repeated_and_none_is_made() -> None:
    """With its unit, as written; an interval of zero is a machine's way to say none; axes are angles."""
    header = Dataset()
    header.WaveformAnnotationSequence = Sequence(
        [
            made.annotated("Ventricular Heart Rate", "72", "{H.B.}/min"),
            made.annotated("QRS Duration", "98.0", "ms"),
            made.annotated("PP Interval", "0", "ms"),
            made.annotated("T Axis", "0", "ms"),
            made.annotated("QRS Duration", "200", "ms"),
            made.annotated("Something else", "5", "ms"),
        ]
    )
    values = machine_values(header)
    assert values == {
        FactCode.ECG_HEART_RATE: "72/min",
        FactCode.ECG_QRS: "98.0 ms",
        FactCode.ECG_T_AXIS: "0°",
    }
    assert values_line(values) == "[machine]    HR 72/min    QRS 98.0 ms    P/QRS/T -/-/0°"
    assert statements(header) is None


def test_twelve_leads_stand_three_by_four_with_a_strip_below() -> None:
    """Columns follow one another in time, 2.5 s each; the strip is lead II."""
    rows = arrange(an_ecg())
    assert [[piece.lead.name for piece in row] for row in rows] == [
        ["I", "aVR", "V1", "V4"],
        ["II", "aVL", "V2", "V5"],
        ["III", "aVF", "V3", "V6"],
        ["II"],
    ]
    assert [(piece.left, piece.start, piece.end) for piece in rows[0]] == [
        (0.0, 0.0, 2.5),
        (62.5, 2.5, 5.0),
        (125.0, 5.0, 7.5),
        (187.5, 7.5, 10.0),
    ]


def test_a_short_ecg_shows_every_lead_from_its_start() -> None:
    """Less than ten seconds do not fill four columns in a row."""
    assert {piece.start for piece in arrange(an_ecg(5))[0]} == {0.0}


def test_other_sets_of_leads_stand_one_a_row() -> None:
    """Three leads of a monitor are shown as what they are."""
    assert [len(row) for row in arrange(an_ecg(names=("I", "II", "III")))] == [1, 1, 1]


def test_the_picture_is_true_to_the_millimetre() -> None:
    """Spikes stand 25 mm apart, 10 mm tall, and so does the calibration pulse; 100 % is 203.2 dpi."""
    preview = draw(an_ecg(names=("II",)))
    image = Image.open(io.BytesIO(preview.data))
    assert image.info["dpi"] == pytest.approx((203.2, 203.2), abs=0.1)
    black = ink(an_ecg(names=("II",)))
    strip = black[11 * PIXELS_PER_MM : -9 * PIXELS_PER_MM]  # between the lines of text
    after_name = 8 * PIXELS_PER_MM
    tops = [int(column.argmax()) for column in strip[:, _LEFT + after_name : -6 * PIXELS_PER_MM].T]
    second = MM_PER_SECOND * PIXELS_PER_MM
    peaks = [int(np.argmin(tops[at : at + second])) + at for at in range(0, len(tops) - second, second)]
    assert len(peaks) == 9
    assert np.diff(peaks) == pytest.approx(np.full(8, second), abs=1)
    assert peaks[0] + after_name == pytest.approx(0.5 * second, abs=3)
    assert int(np.median(tops)) - min(tops) == pytest.approx(10 * PIXELS_PER_MM, abs=1)
    pulse = strip[:, 7 * PIXELS_PER_MM]
    assert int(pulse.argmax()) == pytest.approx(min(tops), abs=1)


def test_a_gap_is_a_grey_band_and_never_a_line() -> None:
    """Where samples may not be drawn, something else than a tracing stands."""
    whole = an_ecg(names=("II",))
    holed = whole.leads[0].millivolts.copy()
    holed[2000:2500] = np.nan
    ecg = Ecg(rate=500, leads=(Lead(name="II", millivolts=holed),), filters=None, left_out=500, truncated=False)
    begin, end = (_LEFT + int(s * MM_PER_SECOND * PIXELS_PER_MM) for s in (4.1, 4.9))
    strip = slice(15 * PIXELS_PER_MM, -12 * PIXELS_PER_MM)
    assert ink(whole)[strip, begin:end].any()
    assert not ink(ecg)[strip, begin:end].any()
    picture = np.asarray(Image.open(io.BytesIO(draw(ecg).data)).convert("RGB"))
    assert (picture[strip, begin:end] == 226).all(axis=2).any()


def test_a_lead_far_from_zero_is_centred_and_named() -> None:
    """Its shape stays; that it was moved is said in the caption."""
    high = Lead(name="V1", millivolts=an_ecg(names=("V1",)).leads[0].millivolts + np.float32(5))
    ecg = Ecg(rate=500, leads=(high,), filters=None, left_out=0, truncated=False)
    assert off_centre(ecg) == ("V1",)
    assert draw(ecg).height == draw(an_ecg(names=("V1",))).height


def test_the_grid_is_light_red_on_white() -> None:
    """A line a millimetre, a stronger one every five; white between them."""
    picture = np.asarray(Image.open(io.BytesIO(draw(an_ecg()).data)).convert("RGB")).astype(int)
    between = picture[2 * PIXELS_PER_MM + PIXELS_PER_MM // 2, -10 * PIXELS_PER_MM :]  # a row of pixels between lines
    thin, thick = between[-1 - 3 * PIXELS_PER_MM], between[-1 - 5 * PIXELS_PER_MM]
    assert between[-1 - 3 * PIXELS_PER_MM + 4].tolist() == [255, 255, 255]
    for line in (thin, thick):
        assert line[0] > 220
        assert line[1] == line[2] < line[0]
    assert thick[1] < thin[1]
