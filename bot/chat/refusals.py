"""A refusal as a message: why not, and what can be done instead."""

from bot.domain.errors import Refusal
from bot.domain.ids import CaseId
from bot.domain.notice import At, Bullets, Notice, Rows, Value, Who, Word
from bot.domain.steps import State, Step


def refusal_notice(refusal: Refusal, case_id: CaseId | None) -> Notice:
    """Return the message that says a refusal; codes for machines, never what somebody wrote."""
    plain = {k: v for k, v in refusal.values.items() if isinstance(v, str | int) or v is None}
    codes = refusal.values.get("codes")
    return Notice(
        text=f"refusal.{refusal.code}",
        values={key: _shown(key, value) for key, value in refusal.values.items()},
        kind="code_refused" if refusal.code.startswith("code_") else "error",
        data={"code": refusal.code, **plain, **({"fields": codes} if isinstance(codes, list) else {})},
        case_id=case_id,
        next=_next_after(refusal),
    )


def _shown(key: str, value: object) -> Value:
    if isinstance(value, At | Who | Bullets | Rows | Word):
        return value
    if isinstance(value, State):
        return Word(f"state_{value}")
    if key == "possible" and isinstance(value, tuple):
        return Bullets(tuple(Word(f"step_{step}") for step in value if step is not Step.ANSWER))
    if isinstance(value, Step):
        return Word(f"step_{value}")
    if key == "argument":
        return Word(f"argument_{value}")
    if key in ("profession", "role") and value is not None:
        return Word(f"{key}_{value}")
    return value if isinstance(value, str | int | float) or value is None else str(value)


def _next_after(refusal: Refusal) -> tuple[tuple[str, ...], ...]:
    match refusal.code:
        case "session_needed" | "code_wrong" | "code_used":
            return (("unlock", "123456"),)
        case "not_registered":
            return (("register", "1-23456-78-901", "…"), ("help",))
        case "standing_approved":
            return (("confirm", "123456"),)
        case "identity_changed":
            return (("recover", "123456"),)
        case "form_incomplete":
            return (("form",), ("submit anyway",))
        case "form_never_without":
            return (("form",),)
        case "no_such_verb" | "not_understood_direct":
            return (("help",),)
    return ()
