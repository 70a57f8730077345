"""What every line file must hold, and what the loader says about one that does not."""

import re
import shutil
from pathlib import Path

import pytest

import specialties
from bot.domain.forms import Field, FieldType, Requirement
from bot.domain.language import Language
from bot.domain.lines import IdentityPolicy, Line
from bot.domain.niss import find_niss
from bot.domain.prompts import MOST_MESSAGES, most_messages, plan
from specialties import LineFilesWrong, load

FOLDER = Path(specialties.__file__).parent
LINES = load()
FIELDS = [(line, one) for line in LINES for one in line.form.fields]
EVERY_LINE = pytest.mark.parametrize("line", list(LINES), ids=lambda line: str(line.id))
EVERY_FIELD = pytest.mark.parametrize("line,one", FIELDS, ids=[f"{line.id}.{one.id}" for line, one in FIELDS])


def test_the_lines_that_ship_are_these() -> None:
    """One file each; a line is added by adding a file."""
    assert [str(line.id) for line in LINES] == ["cardiac_amyloidosis", "dermatology", "rhythmology", "valve_heart_team"]


@EVERY_LINE
def test_a_line_speaks_four_languages(line: Line) -> None:
    """Names, limits, decisions, fields, options: nothing is missing, nothing is empty."""
    labels = [
        line.names,
        line.limits,
        *(one.labels for one in line.decisions),
        *(one.labels for one in line.form.fields),
    ]
    labels += [option.labels for one in line.form.fields for option in one.options]

    assert all(set(one) == set(Language) and all(text.strip() for text in one.values()) for one in labels)


@EVERY_LINE
def test_a_line_is_asked_in_twelve_messages(line: Line) -> None:
    """From `new` to `submitted`, files not counted."""
    assert most_messages(line.form) <= MOST_MESSAGES


@EVERY_LINE
def test_a_line_asks_for_each_field_somewhere(line: Line) -> None:
    """No field stands in a file and is never asked."""
    asked = {field_id for prompt in plan(line.form) for field_id in prompt.fields}

    assert asked == {one.id for one in line.form.fields}


@EVERY_LINE
def test_a_line_keeps_identity_from_its_experts(line: Line) -> None:
    """Names in file headers are stripped; a line that keeps them says so, and none of these does."""
    assert line.identity is IdentityPolicy.STRIP


@EVERY_LINE
def test_a_line_can_refuse_ask_for_more_and_pass_on(line: Line) -> None:
    """An expert who cannot decide has a decision for it."""
    assert {"further_tests", "refer"} <= {decision.code for decision in line.decisions}


@EVERY_FIELD
def test_an_unapproved_field_says_who_must_approve_it(line: Line, one: Field) -> None:
    """Common practice (prof.) and guidelines whose wording was not at hand (*) wait for a specialist."""
    waits = "*" in one.basis or "prof." in one.basis

    assert one.basis
    assert bool(one.review) is waits
    assert one.review in (
        None,
        "dermatologist" if line.id == "dermatology" and one.id != "allergies" else "cardiologist",
    )


@EVERY_FIELD
def test_no_field_asks_for_identity(line: Line, one: Field) -> None:
    """Neither a name, nor an address, nor the national number."""
    assert line.form[one.id] is one
    assert not re.search(r"(^|_)(niss|insz|name|address|phone|email)(_|$)", one.id)


def test_no_line_file_holds_a_number_of_a_person() -> None:
    """Examples in the files are synthetic."""
    assert [path.name for path in FOLDER.glob("*.yaml") if find_niss(path.read_text(encoding="utf-8"))] == []


# ── What the loader says ──────────────────────────────────────────────────────────────────────────────────────────────


def changed(folder: Path, old: str, new: str, name: str = "rhythmology.yaml") -> tuple[str, ...]:
    """The mistakes after one change in a copy of a line file."""
    shutil.copy(FOLDER / "common.yaml", folder)
    text = (FOLDER / name).read_text(encoding="utf-8")
    assert old in text
    (folder / name).write_text(text.replace(old, new, 1), encoding="utf-8")
    with pytest.raises(LineFilesWrong) as wrong:
        load(folder)
    return wrong.value.mistakes


def test_a_copy_of_a_line_file_loads(tmp_path: Path) -> None:
    """A hospital has its own folder; without a common.yaml there, that of Consilium is used."""
    shutil.copy(FOLDER / "dermatology.yaml", tmp_path)

    assert [str(line.id) for line in load(tmp_path)] == ["dermatology"]


@pytest.mark.parametrize(
    "old,new,where,what",
    [
        ("policy: first", "policy: fastest", "routing.policy", "Input should be"),
        ("min: 5\n", "min: 95\n", "fields.lvef", "min must be less than max"),
        ("routine: 72", "routine: soon", "deadlines.routine", "valid integer"),
        ("routine: 72", "routine: 2", "deadlines", "must not be slower"),
        ("reminders: [50, 80]", "reminders: [80, 50]", "deadlines", "must rise"),
        ("after_cancel: 96", "after_cancel: 24", "retention.after_cancel", "at least 96 hours"),
        ("identity: strip", "identity: hide", "identity", "Input should be"),
        ("identity: strip", "identity: strip\ncolour: red", "colour", "Extra inputs"),
        ("identity: strip", "second_line: astrology", "second_line", "astrology is no other line"),
        ("identity: strip", "second_line: rhythmology", "second_line", "is no other line"),
        (
            "when: arrhythmia_type in [af]",
            "when: arrhythmia in [af]",
            "fields.af_pattern.when",
            "no field is called arrhythmia",
        ),
        (
            "when: arrhythmia_type in [af]",
            "when: arrhythmia_type in [fa]",
            "fields.af_pattern.when",
            "has no option fa",
        ),
        ("when: arrhythmia_type in [af]", "when: if af", "fields.af_pattern.when", "FIELD in [a, b]"),
        ("when: arrhythmia_type in [af]", "when: lvef is yes", "fields.af_pattern.when", "cannot be judged"),
        ("when: arrhythmia_type in [af]", "when: qtc > 500", "fields.af_pattern.when", "only recommended"),
        ("when: arrhythmia_type in [af]", "", "fields.af_pattern", "belong together"),
        ("when: holter_report present", "when: syncope present", "fields.holter_hours.when", "cannot be judged"),
        ("    kind: ecg\n", "", "fields.ecg_12", "have a kind"),
        ("    kind: ecg\n", "    kind: pdf\n", "fields.ecg_12.kind", "Input should be"),
        ("names: [QTc]", "names: [FEVG]", "fields.qtc.names", "is a name of lvef too"),
        ("names: [FA, VKF, VHF]", "names: [FA, flutter]", "fields.arrhythmia_type.options.flutter", "means af too"),
        ("label: {fr: QTc (ms), ", "label: {", "fields.qtc.label.fr", "Field required"),
        ("id: rhythmology", "id: rhythm", "id", "must be the file's name"),
        ("  qtc:\n", "  lvef:\n", "fields.lvef", "written twice"),
        ("    unit: ms\n", "    unit: ms\n    min: 1\n", "fields.qtc.min", "written twice"),
        ("    type: bool\n", "    type: boolean\n", "fields.syncope.type", "Input should be"),
    ],
)
def test_a_mistake_is_one_line_with_file_number_and_path(
    tmp_path: Path, old: str, new: str, where: str, what: str
) -> None:
    """A clinician finds the place, and reads what to write instead."""
    mistakes = changed(tmp_path, old, new)

    assert all(re.match(r"rhythmology\.yaml:\d+: ", one) and "\n" not in one for one in mistakes)
    assert any(f": {where}: " in one and what in one for one in mistakes), mistakes


def test_the_number_is_that_of_the_line(tmp_path: Path) -> None:
    """The line on which the wrong part begins."""
    text = (FOLDER / "rhythmology.yaml").read_text(encoding="utf-8")
    number = text[: text.index("routing: {policy: first}")].count("\n") + 1

    assert changed(tmp_path, "policy: first", "policy: fastest")[0].startswith(
        f"rhythmology.yaml:{number}: routing.policy"
    )


def test_all_mistakes_of_all_files_are_said_at_once(tmp_path: Path) -> None:
    """Nobody repairs one mistake to meet the next."""
    for name in ("dermatology.yaml", "rhythmology.yaml"):
        text = (FOLDER / name).read_text(encoding="utf-8")
        (tmp_path / name).write_text(
            text.replace("policy: first", "policy: x").replace("identity: strip", "identity: y")
        )
    with pytest.raises(LineFilesWrong) as wrong:
        load(tmp_path)

    assert [one.split(":")[0] for one in wrong.value.mistakes] == ["dermatology.yaml"] * 2 + ["rhythmology.yaml"] * 2


@pytest.mark.parametrize(
    "content",
    [
        "",
        "- a\n- b\n",
        "id: [unclosed\n",
        "just words\n",
        "a: &x 1\nb: *x\n",
        "a: 1\n\tb: 2\n",
        "id: x\n",
        "? [a]\n: b\n",
        "\x00",
    ],
)
def test_a_file_that_is_no_line_is_said_to_be_none(tmp_path: Path, content: str) -> None:
    """Broken YAML, references, lists and words are mistakes, never errors of the program."""
    (tmp_path / "line.yaml").write_text(content, encoding="utf-8")
    with pytest.raises(LineFilesWrong) as wrong:
        load(tmp_path)

    assert all(one.startswith("line.yaml:") for one in wrong.value.mistakes)


def test_a_file_in_another_encoding_is_said(tmp_path: Path) -> None:
    """Windows editors still write Latin-1."""
    (tmp_path / "line.yaml").write_bytes("id: é".encode("latin-1"))
    with pytest.raises(LineFilesWrong, match="not readable as UTF-8"):
        load(tmp_path)


def test_an_empty_folder_is_said(tmp_path: Path) -> None:
    """A bot without lines answers nobody."""
    with pytest.raises(LineFilesWrong, match="no line file"):
        load(tmp_path)


def test_a_common_file_without_a_needed_field_is_a_mistake(tmp_path: Path) -> None:
    """The opening needs its fields: no line can do without."""
    shutil.copy(FOLDER / "dermatology.yaml", tmp_path)
    text = (FOLDER / "common.yaml").read_text(encoding="utf-8")
    (tmp_path / "common.yaml").write_text(text.replace("  patient_sex:\n", "  patient_gender:\n"), encoding="utf-8")
    with pytest.raises(LineFilesWrong, match="patient_sex is missing"):
        load(tmp_path)


def test_conditions_that_hang_on_conditions_are_counted(tmp_path: Path) -> None:
    """A chain asks one message more for each link; the thirteenth message is a mistake of the file."""
    mistakes = changed(tmp_path, "when: arrhythmia_type in [af, flutter]", "when: af_pattern in [first]")

    assert len(mistakes) == 1
    assert "needs up to 13 messages, 12 are allowed" in mistakes[0]


def test_two_lines_cannot_share_a_name(tmp_path: Path) -> None:
    """`new NAME` must mean one line."""
    for name in ("dermatology.yaml", "rhythmology.yaml"):
        shutil.copy(FOLDER / name, tmp_path)
    text = (tmp_path / "rhythmology.yaml").read_text(encoding="utf-8")
    (tmp_path / "rhythmology.yaml").write_text(
        text.replace("other_names: [rythmo", "other_names: [Peau"), encoding="utf-8"
    )
    with pytest.raises(LineFilesWrong, match="'peau' belongs to dermatology too"):
        load(tmp_path)


def test_words_like_no_and_on_stay_words(tmp_path: Path) -> None:
    """YAML would make false of "no": here every word is what was written."""
    shutil.copy(FOLDER / "dermatology.yaml", tmp_path)
    path = tmp_path / "dermatology.yaml"
    text = path.read_text(encoding="utf-8")
    path.write_text(text.replace("      new: {fr: Apparition récente", "      no: {fr: on"), encoding="utf-8")
    option = load(tmp_path).lines[0].form["evolution"].option("no")

    assert option is not None
    assert option.label(Language.FR) == "on"


def test_every_kind_of_field_is_used_or_known() -> None:
    """The types of `docs/lines.md` are those of the program."""
    page = (FOLDER.parent / "docs" / "lines.md").read_text(encoding="utf-8")

    assert all(f"`{kind}`" in page for kind in FieldType)
    assert all(f"`{need}`" in page for need in Requirement)
