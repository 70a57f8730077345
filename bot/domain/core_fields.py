"""The fields that every form has because the conversation begins with them, and those that nothing goes without."""

from bot.domain.conditions import BIRTH_YEAR

__all__ = [
    "ANSWERED_BY_PROMPT_ALONE",
    "BIRTH_YEAR",
    "CONSENT_DATE",
    "CONSENT_REASON",
    "INFORMED",
    "NEVER_SKIPPED",
    "NOT_EMERGENCY",
    "OUTPUT",
    "QUESTION",
    "REFERENCE",
    "SEEN",
    "SEX",
    "URGENCY",
]

NOT_EMERGENCY = "not_emergency_ack"
REFERENCE, SEX = "patient_ref", "patient_sex"
INFORMED, CONSENT_DATE, SEEN, CONSENT_REASON = "patient_informed", "consent_date", "patient_seen_24m", "consent_reason"
QUESTION = "question"
OUTPUT, URGENCY = "requested_output", "urgency"

NEVER_SKIPPED = frozenset({NOT_EMERGENCY, REFERENCE, BIRTH_YEAR, SEX, INFORMED, CONSENT_REASON, QUESTION})
"""What `submit anyway` never goes without; the reason only when consent was not possible."""

ANSWERED_BY_PROMPT_ALONE = frozenset({*NEVER_SKIPPED, CONSENT_DATE, SEEN})
"""Fields that a name inside some message does not answer: declarations, patient, the question itself."""
