"""A signed opinion is checked strictly: signatures, everything added later, the seal, the signatories it names."""

from collections.abc import Iterable
from datetime import timedelta
from io import BytesIO

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pyhanko.pdf_utils.incremental_writer import IncrementalPdfFileWriter
from pyhanko.pdf_utils.reader import PdfFileReader

from bot.adapters.report import pki, signing
from bot.adapters.report.render import render_certificate, render_opinion
from bot.adapters.report.verify import verify
from bot.domain.report import Participant
from tests.fakes.report import ANSWERED, ASKED, EXPERT, SECOND, THIRD, a_certificate, a_panel_opinion, drawn_over

HOSPITAL = "Hôpital de démonstration"
AUTHORITY = pki.create_authority(HOSPITAL, at=ASKED)
FOREIGN = pki.create_authority(HOSPITAL, at=ASKED)
SEALED_AT = ANSWERED + timedelta(hours=1)


def _signed(pdf: bytes, people: Iterable[Participant], authority: pki.Authority = AUTHORITY) -> bytes:
    for n, person in enumerate(people, 1):
        credential = pki.issue_signatory(authority, name=person.name, inami=person.inami, hospital=HOSPITAL, at=ASKED)
        pdf = signing.sign(pdf, credential, field=f"Signatory{n}", at=ANSWERED + timedelta(minutes=n))
    return pdf


def _sealed(pdf: bytes, authority: pki.Authority = AUTHORITY) -> bytes:
    return signing.seal(pdf, pki.issue_seal(authority, hospital=HOSPITAL, at=ASKED), at=SEALED_AT)


def _retitled(pdf: bytes) -> bytes:
    writer = IncrementalPdfFileWriter(BytesIO(pdf))
    writer.document_meta.title = "Ablation not indicated"
    writer.update_root()  # type: ignore[no-untyped-call]  # the library left it untyped
    out = BytesIO()
    writer.write(out)  # type: ignore[no-untyped-call]
    return out.getvalue()


def _flipped(position: int, bit: int) -> bytes:
    damaged = bytearray(SEALED)
    damaged[position] ^= 1 << bit
    return bytes(damaged)


UNSIGNED = render_opinion(a_panel_opinion())
SIGNED = _signed(UNSIGNED, (EXPERT, SECOND, THIRD))
SEALED = _sealed(SIGNED)
_RANGE = PdfFileReader(BytesIO(SEALED)).embedded_regular_signatures[-1].byte_range
CONTAINER = range(int(_RANGE[1]), int(_RANGE[2]))
"""Where the seal's own signature stands in the file: the one part that no signature covers."""

BITS = st.integers(0, 7)


def test_three_signatories_and_the_seal_hold() -> None:
    """Each signature stays good under those that follow; the seal is last and covers the whole file."""
    found = verify(SEALED, [AUTHORITY.root])

    assert (found.ok, found.sealed, found.changed_after_seal, found.problems) == (True, True, False, ())
    assert [(s.name, s.inami) for s in found.signatures] == [
        *((p.name, p.inami) for p in (EXPERT, SECOND, THIRD)),
        (HOSPITAL, None),
    ]
    assert [s.signed_at for s in found.signatures] == [
        *(ANSWERED + timedelta(minutes=n) for n in (1, 2, 3)),
        SEALED_AT,
    ]
    assert [s.covers_file for s in found.signatures] == [False, False, False, True]


def test_a_good_opinion_tells_what_it_rests_on() -> None:
    """Case, version and the hashes of the documents come from the file inside."""
    found = verify(SEALED, [AUTHORITY.root_pem])

    assert (found.kind, found.case_id, found.version) == ("opinion", "C-2026-0007", 1)
    assert found.documents == a_panel_opinion().documents


def test_signing_keeps_every_byte_that_was_there() -> None:
    """Each signature is an appended revision: the frozen PDF is the beginning of the sealed one."""
    assert SEALED.startswith(SIGNED)
    assert SIGNED.startswith(UNSIGNED)


def test_an_unsigned_opinion_is_refused() -> None:
    """A draft that looks like an opinion is none."""
    assert verify(UNSIGNED, [AUTHORITY.root]).problems == ("not_sealed", "signature_missing")


def test_an_opinion_without_its_seal_is_refused() -> None:
    """Signatures alone do not make it final."""
    assert verify(SIGNED, [AUTHORITY.root]).problems == ("not_sealed",)


def test_a_missing_signatory_is_named() -> None:
    """The opinion says who must sign."""
    found = verify(_sealed(_signed(UNSIGNED, (EXPERT, SECOND))), [AUTHORITY.root])

    assert (found.ok, found.problems, found.unsigned) == (False, ("signature_missing",), (THIRD.inami,))


def test_a_page_drawn_over_after_the_seal_is_refused() -> None:
    """The signed bytes are still there, and still the page shows something else."""
    found = verify(drawn_over(SEALED), [AUTHORITY.root])

    assert (found.ok, found.changed_after_seal) == (False, True)
    assert "changed" in found.problems


def test_a_page_drawn_over_before_the_seal_is_refused() -> None:
    """The seal covers the drawing, the signatures do not."""
    found = verify(_sealed(drawn_over(SIGNED)), [AUTHORITY.root])

    assert [s.unchanged for s in found.signatures] == [False, False, False, True]
    assert found.problems == ("changed",)


@pytest.mark.parametrize("changed", [SEALED + b" ", SEALED + b"\n% remark\n", _retitled(SEALED)])
def test_nothing_may_follow_the_seal(changed: bytes) -> None:
    """Not even what no page shows."""
    found = verify(changed, [AUTHORITY.root])

    assert (found.ok, found.changed_after_seal) == (False, True)


def test_a_signature_after_the_seal_is_refused() -> None:
    """The seal is last."""
    credential = pki.issue_signatory(AUTHORITY, name="Dr X", inami="19999915003", hospital=HOSPITAL, at=ASKED)
    found = verify(signing.sign(SEALED, credential, field="Late", at=SEALED_AT), [AUTHORITY.root])

    assert (found.ok, found.changed_after_seal) == (False, True)


def test_a_foreign_authority_is_not_believed() -> None:
    """The same names from another authority prove nothing, and then nothing that the file says is told."""
    found = verify(_sealed(_signed(UNSIGNED, (EXPERT, SECOND, THIRD), FOREIGN), FOREIGN), [AUTHORITY.root])

    assert found.problems == ("untrusted", "not_sealed", "signature_missing")
    assert (found.case_id, found.documents) == (None, ())


def test_a_foreign_seal_over_a_true_one_is_not_believed() -> None:
    """Whoever opens the file again and seals it himself is found out."""
    over = signing.sign(
        drawn_over(SEALED), pki.issue_seal(FOREIGN, hospital=HOSPITAL, at=ASKED), field="Seal2", at=SEALED_AT
    )
    found = verify(over, [AUTHORITY.root])

    assert (found.ok, found.changed_after_seal) == (False, True)


def test_no_authority_trusts_nobody() -> None:
    """Without a root nothing is good."""
    assert not verify(SEALED, []).ok


def test_a_root_that_is_no_certificate_is_an_error() -> None:
    """The operator gave the wrong file."""
    with pytest.raises(ValueError):  # noqa: PT011  the library's texts vary
        verify(SEALED, [b"no certificate"])


def test_signatures_outlive_their_certificates() -> None:
    """A certificate is judged at the time of signing: the record is kept for 30 years, a signatory's key 5."""
    old = pki.create_authority(HOSPITAL, at=ASKED - timedelta(days=20 * 365))
    credential = pki.issue_seal(old, hospital=HOSPITAL, at=ASKED - timedelta(days=19 * 365))
    sealed = signing.seal(render_certificate(a_certificate()), credential, at=ASKED - timedelta(days=18 * 365))

    assert verify(sealed, [old.root]).ok


def test_a_signature_outside_its_certificates_time_is_not_trusted() -> None:
    """A key that ended signs nothing any more."""
    credential = pki.issue_seal(AUTHORITY, hospital=HOSPITAL, at=ASKED)
    late = signing.seal(render_certificate(a_certificate()), credential, at=ASKED + timedelta(days=11 * 366))

    assert "untrusted" in verify(late, [AUTHORITY.root]).problems


def test_a_certificate_of_erasure_needs_only_the_seal() -> None:
    """Nobody signs it but the hospital."""
    found = verify(_sealed(render_certificate(a_certificate())), [AUTHORITY.root])

    assert (found.ok, found.kind, found.case_id) == (True, "erasure", "C-2026-0007")


@settings(max_examples=40, deadline=None)
@given(position=st.one_of(st.integers(0, CONTAINER.start), st.integers(CONTAINER.stop - 1, len(SEALED) - 1)), bit=BITS)
def test_no_flipped_bit_passes(position: int, bit: int) -> None:
    """Whatever is changed, in the page, in a signature or in the tables: the file is refused and nothing raises."""
    assert not verify(_flipped(position, bit), [AUTHORITY.root]).ok


@settings(max_examples=20, deadline=None)
@given(position=st.sampled_from(CONTAINER), bit=BITS)
def test_a_flipped_bit_in_the_seal_itself_changes_nothing_that_is_told(position: int, bit: int) -> None:
    """A signature cannot cover its own bytes: a hex digit may change its case; the result is the same or a refusal."""
    found = verify(_flipped(position, bit), [AUTHORITY.root])

    assert found == verify(SEALED, [AUTHORITY.root]) or not found.ok


@settings(max_examples=30, deadline=None)
@given(length=st.integers(0, len(SEALED) - 1))
def test_no_cut_file_passes(length: int) -> None:
    """A file that was cut anywhere is not the sealed one."""
    assert not verify(SEALED[:length], [AUTHORITY.root]).ok


@given(st.binary(max_size=300))
def test_no_other_file_passes(content: bytes) -> None:
    """Anything may be given to a check."""
    assert not verify(b"%PDF-1.7\n" + content, [AUTHORITY.root]).ok


def test_the_code_of_a_frozen_pdf_is_short_and_speakable() -> None:
    """Two groups of four from an alphabet without I, L, O and U; another PDF has another code."""
    code = signing.frozen_code(b"one")

    assert set(code.replace("-", "")) <= set("0123456789ABCDEFGHJKMNPQRSTVWXYZ")
    assert (len(code), code[4]) == (9, "-")
    assert code != signing.frozen_code(b"two")
