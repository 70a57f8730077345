"""The program as it is typed in a shell: what it prints, what it answers to mistakes, and its exit codes."""

import asyncio
import csv
import io
import json
import re
import signal
import sys
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
import yaml

from bot.adapters.vault_keys import new_master_key_file
from bot.lab.clients import Person
from bot.lab.letter import a_letter
from tests.flows.ward import Phone, Ward, a_ward

pytestmark = pytest.mark.asyncio(loop_scope="module")

COLUMNS = ["matrix_id", "inami", "name", "email", "language", "roles", "lines"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Done:
    """What a command left: exit code, standard output and standard error."""

    code: int
    out: str
    err: str

    def refused(self) -> list[str]:
        """Return the lines of a refusal: exit code 1, nothing on stdout, no traceback, each line marked."""
        assert self.out == ""
        return self.refused_after_words()

    def refused_after_words(self) -> list[str]:
        """Return the lines of a refusal that came after something was shown."""
        assert self.code == 1, self
        assert "Traceback" not in self.err
        lines = self.err.splitlines()
        assert lines
        assert all(line.startswith("consilium: ") for line in lines), lines
        return [line.removeprefix("consilium: ") for line in lines]


async def consilium(*arguments: str | Path, stdin: str = "", seconds: float = 90) -> Done:
    """Run `consilium` with *arguments* and return what it left."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "bot", *map(str, arguments),
        stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    async with asyncio.timeout(seconds):
        out, err = await process.communicate(stdin.encode())
    assert process.returncode is not None
    return Done(code=process.returncode, out=out.decode(), err=err.decode())


@dataclass(frozen=True, slots=True, kw_only=True)
class House:
    """A running lab in which one opinion was delivered."""

    ward: Ward
    pdf: Path
    document: Path
    """The document that the opinion rests on."""

    root: Path
    admin: Person
    """Somebody with a Matrix identity whom the bot does not know."""

    requester: Phone
    bystander: Phone
    """An enrolled physician whom nothing else is done with."""

    @property
    def config(self) -> Path:
        return self.ward.lab.config_path

    def config_with(self, folder: Path, **sections: Mapping[str, Any] | str | None) -> Path:
        """Write the lab's configuration with changes, its paths made absolute; None removes a section."""
        config = yaml.safe_load(self.config.read_text(encoding="utf-8"))
        home = self.config.parent
        config["data_dir"] = str(home / config["data_dir"])
        config["master_key_file"] = str(home / config["master_key_file"])
        config["homeserver"]["sign_in"]["token_file"] = str(home / config["homeserver"]["sign_in"]["token_file"])
        config["eraser"] = {key: str(home / value) for key, value in config["eraser"].items()}
        for name, change in sections.items():
            if change is None:
                del config[name]
            else:
                config[name] = {**config.get(name, {}), **change} if isinstance(change, Mapping) else change
        path = folder / "config.yaml"
        path.write_text(yaml.safe_dump(config, allow_unicode=True), encoding="utf-8")
        return path


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def house(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[House]:
    folder = tmp_path_factory.mktemp("cli")
    async with a_ward(folder) as ward:
        newcomer = ward.somebody("chief", roles=("admin",))
        await ward.lab.add_account(newcomer)
        admin, requester, bystander, expert = await asyncio.gather(
            ward.clients.login(ward.lab.accounts[newcomer.user], isolation="exclude"),
            ward.phone("requester"),
            ward.phone("bystander", session=False),
            ward.phone("expert", lines={"dermatology": "dermatologist"}),
        )
        letter = a_letter()
        case = await ward.asks(requester, files=[letter])
        await ward.takes(expert, case)
        (folder / "opinion.pdf").write_bytes(await ward.answers(expert, requester, case))
        (folder / "letter.pdf").write_bytes(letter)
        (folder / "root.pem").write_bytes(await ward.lab.authority())
        yield House(
            ward=ward,
            pdf=folder / "opinion.pdf",
            document=folder / "letter.pdf",
            root=folder / "root.pem",
            admin=admin,
            requester=requester,
            bystander=bystander,
        )


# -- lab ---------------------------------------------------------------------------------------------------------------


async def a_lab(*arguments: str | Path) -> tuple[dict[str, Any], Done]:
    """Run `consilium lab` until it is ready, end it with SIGTERM; return its JSON line and what else it left."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "bot", "lab", *map(str, arguments),
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE, process_group=0,
    )  # fmt: skip
    assert process.stdout is not None
    async with asyncio.timeout(90):
        line = await process.stdout.readline()
        process.send_signal(signal.SIGTERM)
        out, err = await process.communicate()
    assert process.returncode is not None
    return json.loads(line), Done(code=process.returncode, out=out.decode(), err=err.decode())


async def test_lab_prints_one_line_of_json_and_a_second_start_has_the_same_people(tmp_path: Path) -> None:
    """The documented keys, nothing else on stdout, exit code 0 at SIGTERM; the folder can be used again."""
    table = tmp_path / "physicians.csv"
    table.write_text(
        as_table(
            [
                [
                    "@anna:hospital.localhost",
                    inami(1),
                    "Anna Anders",
                    "a@example.org",
                    "de",
                    "",
                    "dermatology:dermatologist",
                ]
            ]
        )
    )
    first, ended = await a_lab("--dir", tmp_path / "lab", "--physicians", table)
    assert (ended.code, ended.out) == (0, "")
    assert set(first) == {
        "homeserver", "server_name", "bot", "bot_fingerprint", "admin", "admin_room", "registration_shared_secret",
        "smtp", "config", "doctors",
    }  # fmt: skip
    assert set(first["admin"]) == {"user", "password", "totp_secret"}
    assert set(first["smtp"]) == {"host", "port", "maildir"}
    (anna,) = first["doctors"]
    assert set(anna) == {
        "user", "password", "totp_secret", "inami", "name", "email", "roles", "lines", "language",
    }  # fmt: skip
    assert (anna["user"], anna["inami"], anna["language"]) == ("@anna:hospital.localhost", inami(1), "de")
    assert anna["lines"] == {"dermatology": "dermatologist"}
    assert first["homeserver"].startswith("http://127.0.0.1:")
    assert len(first["bot_fingerprint"]) >= 43
    assert Path(first["config"]).is_file()
    assert Path(first["smtp"]["maildir"]).is_dir()

    second, again = await a_lab("--dir", tmp_path / "lab")
    assert again.code == 0
    for key in set(first) - {"homeserver", "smtp"}:  # their ports may differ
        assert second[key] == first[key], key


async def test_lab_refuses_a_bad_table_before_it_starts_anything(tmp_path: Path) -> None:
    """Every bad line is named; stdout stays empty."""
    table = tmp_path / "physicians.csv"
    table.write_text(as_table([["anna", "19999915003", "Anna Anders", "", "", "", ""]]))
    done = await consilium("lab", "--dir", tmp_path / "lab", "--physicians", table)
    assert done.refused() == ["line 2: matrix_id: not a Matrix id (@name:server, small letters)"]
    assert done.out == ""


# -- people ------------------------------------------------------------------------------------------------------------


def inami(n: int, separator: str = "") -> str:
    """Return the n-th made-up physician's number; its check digits fit."""
    digits = 150000 + n
    return separator.join((str(digits)[0], str(digits)[1:], f"{97 - digits % 97:02d}", "477"))


def as_table(rows: Sequence[Sequence[str]]) -> str:
    text = io.StringIO()
    csv.writer(text).writerows([COLUMNS, *rows])
    return text.getvalue()


async def test_admin_add_makes_an_admin_only_after_the_fingerprint_was_confirmed(house: House) -> None:
    """No: nothing is changed. Yes: the identity is pinned, the second factor shown once, and the chat knows him."""
    user, add = house.admin.user_id, ("admin", "add", "-c", house.config, house.admin.user_id, "--name", "Chief Admin")
    for done in await asyncio.gather(*(consilium(*add, stdin=answer) for answer in ("no\n", "\n", ""))):
        assert "nothing was changed" in done.refused_after_words()[0]
    assert user not in (await consilium("staff", "-c", house.config, "list")).out

    done = await consilium(*add, stdin="yes\n")
    assert done.code == 0, done.err
    key = await house.admin.identity()
    assert key is not None
    assert key.rstrip("=") in re.sub(r"\s", "", done.out)
    secret = re.sub(r"\s", "", done.out.rpartition("Key:")[2])
    assert re.fullmatch(r"[A-Z2-7]{32}", secret)
    listed = (await consilium("staff", "-c", house.config, "list")).out
    assert [user, "-", "Chief Admin", "enrolled", "admin"] == next(
        row.split("\t")[:5] for row in listed.splitlines() if row.startswith(user)
    )


@pytest.mark.parametrize(
    "user, hint", [("chief", "Matrix id"), ("@nobody:hospital.localhost", "cross-signing identity")]
)
async def test_admin_add_refuses_who_cannot_be_an_admin(house: House, user: str, hint: str) -> None:
    """Not a Matrix id, or nobody with an identity: one line that says what to do."""
    done = await consilium("admin", "add", "-c", house.config, user, "--name", "Chief Admin", stdin="yes\n")
    (line,) = done.refused()
    assert hint in line


async def test_physicians_import_takes_a_good_table_and_enrol_prints_the_second_factor(
    house: House, tmp_path: Path
) -> None:
    """As a spreadsheet saves it (mark at the beginning, CRLF); the printed key is a TOTP secret."""
    table = tmp_path / "physicians.csv"
    rows = [
        [
            "@lea:hospital.localhost",
            inami(1, "-"),
            "Léa Lenoir",
            "lea@example.org",
            "fr",
            "",
            "dermatology rhythmology",
        ],
        ["@max:hospital.localhost", "", "Max Muster", "", "de", "auditor", ""],
    ]
    table.write_bytes(b"\xef\xbb\xbf" + as_table(rows).encode())
    done = await consilium("physicians", "-c", house.config, "import", table)
    assert (done.code, done.out) == (0, "2 people approved\n"), done.err

    listed = (await consilium("physicians", "-c", house.config, "list")).out.splitlines()
    lea = ["@lea:hospital.localhost", inami(1), "Léa Lenoir", "approved", "physician"]
    assert "\t".join([*lea, "dermatology:expert,rhythmology:expert"]) in listed
    assert not any("@max" in row for row in listed), "staff are listed by `staff list`"
    staff = (await consilium("staff", "-c", house.config, "list")).out
    assert "@max:hospital.localhost\t-\tMax Muster\tapproved\tauditor\t" in staff

    printed = await consilium("physicians", "-c", house.config, "enrol", "@lea:hospital.localhost", "--print")
    assert printed.code == 0
    assert re.fullmatch(r"[A-Z2-7]{32}", re.sub(r"\s", "", printed.out.rpartition("Key:")[2]))
    refused = await consilium("physicians", "-c", house.config, "enrol", "@nobody:hospital.localhost", "--print")
    assert "not approved" in refused.refused()[0]
    assert (await consilium("physicians", "-c", house.config, "enrol", "@lea:hospital.localhost")).code == 2


async def test_physicians_import_names_every_bad_line_and_takes_nobody(house: House, tmp_path: Path) -> None:
    """Each line is bad in its own way; the good one among them is not taken either."""
    taken = house.ward.lab.person(house.requester.local).inami or ""
    bad = [
        (["@good:hospital.localhost", inami(2), "Good Person", "", "", "", ""], None),
        (["good:hospital.localhost", inami(3), "No At", "", "", "", ""], "matrix_id"),
        (["@a:hospital.localhost", f"{inami(20)[:6]}00477", "Bad Check", "", "", "", ""], "check digits"),
        (["@b:hospital.localhost", "4" + inami(21)[1:], "A Nurse", "", "", "", ""], "not physician"),
        (["@c:hospital.localhost", "1000", "Short Number", "", "", "", ""], "wrong length"),
        (["@d:hospital.localhost", "abc", "No Number", "", "", "", ""], "not a number"),
        (["@e:hospital.localhost", inami(2), "Same Number", "", "", "", ""], "somebody else"),
        (["@f:hospital.localhost", taken, "Number Of Another", "", "", "", ""], "somebody else"),
        (["@g:hospital.localhost", inami(4), "X", "", "", "", ""], "name"),
        (["@h:hospital.localhost", inami(5), "Bad Mail", "not an address", "", "", ""], "email"),
        (["@i:hospital.localhost", inami(6), "Bad Tongue", "", "it", "", ""], "language"),
        (["@j:hospital.localhost", inami(7), "Bad Role", "", "", "boss", ""], "roles"),
        (["@k:hospital.localhost", inami(8), "Bad Line", "", "", "", "astrology"], "lines"),
        (["@l:hospital.localhost", inami(9), "Bad Function", "", "", "", "dermatology:wizard"], "function"),
        (["@m:hospital.localhost", "", "No Number No Role", "", "", "", ""], "needs a number"),
        (["@good:hospital.localhost", inami(10), "Twice", "", "", "", ""], "twice"),
        (["@n:hospital.localhost", inami(11), "Too Short"], "columns"),
    ]
    table = tmp_path / "physicians.csv"
    table.write_text(as_table([row for row, _ in bad]), encoding="utf-8")
    said = (await consilium("physicians", "-c", house.config, "import", table)).refused()
    expected = [(number, hint) for number, (_, hint) in enumerate(bad, 2) if hint is not None]
    assert [int(re.match(r"line (\d+): ", line)[1]) for line in said] == [n for n, _ in expected], said  # type: ignore[index]  # each line has its number
    for line, (_, hint) in zip(said, expected, strict=True):
        assert hint in line
    assert "@good" not in (await consilium("physicians", "-c", house.config, "list")).out

    (tmp_path / "heading.csv").write_text("matrix_id;inami;name\n", encoding="utf-8")
    (tmp_path / "bytes.csv").write_bytes(b"\xff\xfe\x00")
    hints = {"heading.csv": "line 1: ", "bytes.csv": "UTF-8", "none.csv": "none.csv"}
    answers = await asyncio.gather(
        *(consilium("physicians", "-c", house.config, "import", tmp_path / name) for name in hints)
    )
    for done, hint in zip(answers, hints.values(), strict=True):
        (wrong,) = done.refused()
        assert hint in wrong


async def test_staff_add_approves_coordinators_and_auditors(house: House) -> None:
    """They get a second factor, and confirm with it in the chat."""
    add = ("staff", "-c", house.config, "add")
    carla = ("@carla:hospital.localhost", "--name", "Carla Co", "--roles", "coordinator", "--lines", "dermatology")
    done = await consilium(*add, *carla)
    assert done.code == 0, done.err
    assert "Key:" in done.out
    assert (
        "@carla:hospital.localhost\t-\tCarla Co\tapproved\tcoordinator"
        in (await consilium("staff", "-c", house.config, "list")).out
    )


@pytest.mark.parametrize(
    "arguments, hint",
    [
        (("@x:hospital.localhost", "--roles", "admin"), "admin add"),
        (("@x:hospital.localhost", "--roles", "coordinator", "--lines", "astrology"), "astrology"),
        (("@x:hospital.localhost", "--roles", ""), "role"),
        (("x", "--roles", "auditor"), "Matrix id"),
    ],
)
async def test_staff_add_refuses_what_staff_are_not(house: House, arguments: tuple[str, ...], hint: str) -> None:
    """One line that says what is wrong; nobody is approved and no second factor is printed."""
    (line,) = (await consilium("staff", "-c", house.config, "add", *arguments, "--name", "X Ample")).refused()
    assert hint in line


async def test_staff_add_never_overwrites_an_enrolled_physician(house: House) -> None:
    """His number, his lines and his pinned identity stay as they are."""
    before = (await consilium("physicians", "-c", house.config, "list")).out
    user = house.bystander.user_id
    done = await consilium("staff", "-c", house.config, "add", user, "--name", "X Ample", "--roles", "auditor")
    assert done.code == 1
    assert (await consilium("physicians", "-c", house.config, "list")).out == before


# -- looking -----------------------------------------------------------------------------------------------------------


async def test_check_says_ok_or_what_to_do_and_its_exit_code_tells(house: House, tmp_path: Path) -> None:
    """All well: 0 and a line each. A mail server and an eraser that are not there: 1, and only they fail."""
    well = await consilium("check", "-c", house.config)
    assert well.code == 0, well.out + well.err
    for subject in ("configuration", "homeserver", "mail", "records", "identity", "uploads", "eraser", "documents"):
        assert re.search(rf"^ok    {subject}", well.out, re.M), subject
    assert "override_ratelimit" in well.out

    broken = house.config_with(tmp_path, mail={"port": 9}, eraser=None)
    ill = await consilium("check", "-c", broken)
    assert ill.code == 1
    failed = [line for line in ill.out.splitlines() if line.startswith("FAIL")]
    assert [line.split()[1] for line in failed] == ["mail:", "eraser:"]
    assert "Traceback" not in ill.err

    (tmp_path / "far").mkdir()
    away = house.config_with(tmp_path / "far", homeserver={"url": "http://127.0.0.1:9"})
    unreachable = await consilium("check", "-c", away)
    assert unreachable.code == 1
    assert "FAIL  homeserver: http://127.0.0.1:9 cannot be reached" in unreachable.out
    assert "Traceback" not in unreachable.err


async def test_verify_tells_good_from_changed_and_which_files_belong(house: House, tmp_path: Path) -> None:
    """0 for an unchanged opinion and a document of it; 1 for a flipped byte, a foreign file, another authority."""
    good = await consilium("verify", house.pdf, house.document, "--root", house.root)
    assert good.code == 0, good.out + good.err
    assert f"good  {house.document}: document 1" in good.out
    assert "unchanged and sealed" in good.out
    assert (await consilium("verify", house.pdf, "-c", house.config)).code == 0

    spoiled = bytearray(house.pdf.read_bytes())
    spoiled[len(spoiled) // 3] ^= 1
    (tmp_path / "spoiled.pdf").write_bytes(spoiled)
    changed = await consilium("verify", tmp_path / "spoiled.pdf", house.document, "--root", house.root)
    assert changed.code == 1
    assert "NOT VALID" in changed.out
    assert "good  " not in changed.out.replace("good  Dr", ""), "no document is called good by an opinion that is not"

    (tmp_path / "other.pdf").write_bytes(house.document.read_bytes() + b" ")
    foreign = await consilium("verify", house.pdf, tmp_path / "other.pdf", "--root", house.root)
    assert foreign.code == 1
    assert "other.pdf: not in the opinion" in foreign.out

    for name, content in (("empty.pdf", b""), ("text.pdf", b"no PDF at all")):
        (tmp_path / name).write_bytes(content)
        assert (await consilium("verify", tmp_path / name, "--root", house.root)).code == 1


@pytest.mark.parametrize("missing", ["opinion", "root", "document", "root that is none"])
async def test_verify_with_a_file_that_cannot_be_used_says_so_in_one_line(
    house: House, tmp_path: Path, missing: str
) -> None:
    """No traceback for a wrong path or a file that is no certificate."""
    nowhere = tmp_path / "nowhere.pdf"
    arguments = {
        "opinion": (nowhere, "--root", house.root),
        "root": (house.pdf, "--root", nowhere),
        "document": (house.pdf, nowhere, "--root", house.root),
        "root that is none": (house.pdf, "--root", house.pdf),
    }[missing]
    done = await consilium("verify", *arguments)
    assert done.code == 1
    assert "Traceback" not in done.err
    assert len(done.err.splitlines()) == 1


async def test_audit_shows_the_newest_rows_and_that_the_chain_is_whole(house: House) -> None:
    """The last line counts and judges; no clinical word stands in it."""
    done = await consilium("audit", "-c", house.config, "--rows", "3")
    assert done.code == 0, done.err
    rows = done.out.splitlines()
    assert len(rows) == 4
    assert re.fullmatch(r"\d+ rows, unbroken", rows[-1])
    whole = await consilium("audit", "-c", house.config, "--rows", "100000")
    assert "delivered" in whole.out
    assert "topical" not in whole.out
    assert not re.search(r"\b4711\b", whole.out)  # alone: a hash may hold these digits


async def test_authority_prints_the_certificate_that_verify_takes(house: House) -> None:
    """The same PEM as the lab's."""
    done = await consilium("authority", "-c", house.config)
    assert done.code == 0, done.err
    assert done.out == house.root.read_text()
    assert done.out.startswith("-----BEGIN CERTIFICATE-----")


async def test_states_and_lines_need_no_configuration(tmp_path: Path) -> None:
    """`states` prints the table as a diagram, `lines` reads the shipped lines, or names every mistake of a folder."""
    states, lines = await asyncio.gather(consilium("states"), consilium("lines"))
    assert states.code == 0
    assert "collecting" in states.out
    assert "erased" in states.out
    assert lines.code == 0
    assert "rhythmology: " in lines.out
    (tmp_path / "bad.yaml").write_text("id: other\nnames: {fr: X}\n", encoding="utf-8")
    wrong = (await consilium("lines", tmp_path)).refused()
    assert all(re.match(r"bad\.yaml:\d+", line) for line in wrong), wrong
    assert len((await consilium("lines", tmp_path / "nowhere")).refused()) == 1


# -- wrong calls and wrong configurations ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "arguments", [(), ("brew",), ("lab",), ("admin", "remove", "@a:b"), ("physicians",), ("verify",)]
)
async def test_a_wrong_call_is_answered_with_the_usage_and_code_2(arguments: tuple[str, ...]) -> None:
    """The usage stands on stderr."""
    done = await consilium(*arguments)
    assert done.code == 2
    assert done.err.startswith("usage: consilium")
    assert "Traceback" not in done.err


async def test_every_mistake_of_a_configuration_gets_a_line_of_its_own(tmp_path: Path) -> None:
    """All of them at once, by key, without the value."""
    path = tmp_path / "config.yaml"
    path.write_text(
        "homeserver: {url: ftp://x, user_id: consilium, sign_in: {password_file: nowhere}}\n"
        "data_dir: data\nmaster_key_file: missing.key\n"
        "hospital: {name: CHANGE-ME, emergency_phone: '1'}\nlines: {enabled: []}\nlanguage: {default: fr}\n"
        "http: {port: 99999}\n"
    )
    for done in await asyncio.gather(*(consilium(command, "-c", path) for command in ("run", "check", "audit"))):
        lines = done.refused()
        assert sorted(line.split(":")[0] for line in lines) == [
            "homeserver.sign_in.password_file", "homeserver.url", "homeserver.user_id", "hospital.name", "http.port",
            "language", "lines.enabled", "master_key_file",
        ]  # fmt: skip
        assert "did you mean languages" in next(line for line in lines if line.startswith("language:"))


async def test_run_refuses_what_it_cannot_start_with(house: House, tmp_path: Path) -> None:
    """No configuration, a wrong or readable master key, an unknown line, a second bot on the folder: a line each."""
    folders = [tmp_path / name for name in ("key", "open", "line", "second", "eraser")]
    for folder in folders:
        folder.mkdir()
    new_master_key_file(tmp_path / "other.key")
    (tmp_path / "open.key").write_bytes((tmp_path / "other.key").read_bytes())
    (tmp_path / "open.key").chmod(0o644)
    wrong_key = house.config_with(folders[0], master_key_file=str(tmp_path / "other.key"))
    cases = (
        ("run", tmp_path / "none.yaml", "cannot be read"),
        ("run", wrong_key, "master key"),
        ("audit", wrong_key, "master key"),
        ("run", house.config_with(folders[1], master_key_file=str(tmp_path / "open.key")), "chmod 600"),
        ("run", house.config_with(folders[2], lines={"enabled": ["dermatology", "moon"]}), "there is no line moon"),
        ("run", house.config_with(folders[3], http={"port": 1}), "Another process uses"),
        ("eraser", house.config_with(folders[4], eraser=None), "eraser: "),
    )
    answers = await asyncio.gather(*(consilium(command, "-c", path) for command, path, _ in cases))
    for (_, _, hint), done in zip(cases, answers, strict=True):
        (line,) = done.refused()
        assert hint in line
