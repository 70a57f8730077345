"""What a form still lacks, and whether it can be submitted."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import date

from bot.domain.core_fields import NEVER_SKIPPED, NOT_EMERGENCY
from bot.domain.forms import Answers, Field, Form, Requirement, is_filled, is_needed


@dataclass(frozen=True, slots=True, kw_only=True)
class FormStatus:
    """What is still missing, as field ids in the order of the form; required holds the never skipped ones too."""

    missing_required: tuple[str, ...]
    missing_recommended: tuple[str, ...]
    missing_never_skipped: tuple[str, ...]

    @property
    def may_submit(self) -> bool:
        """True if nothing required is missing."""
        return not self.missing_required

    @property
    def may_submit_anyway(self) -> bool:
        """True if what no submission goes without is there."""
        return not self.missing_never_skipped


def status(form: Form, answers: Answers, documents: Collection[str], *, today: date) -> FormStatus:
    """Return what is missing now; a conditional field counts as required while its condition holds."""
    missing = [one for one in form.fields if is_missing(one, answers, documents, today)]
    recommended = [one for one in missing if one.requirement is Requirement.RECOMMENDED]
    return FormStatus(
        missing_required=tuple(one.id for one in missing if one not in recommended),
        missing_recommended=tuple(one.id for one in recommended),
        missing_never_skipped=tuple(one.id for one in missing if one.id in NEVER_SKIPPED),
    )


def is_missing(one: Field, answers: Answers, documents: Collection[str], today: date) -> bool:
    """Tell whether a field is needed now and has no answer; only a confirmed "not an emergency" is one."""
    if one.id == NOT_EMERGENCY:
        return answers.value(one.id) is not True
    return is_needed(one, answers, documents, today) and not is_filled(one, answers, documents)
