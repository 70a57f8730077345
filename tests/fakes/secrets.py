"""The program's small secrets, in memory."""


class MemorySecrets:
    """Forgets everything with the object."""

    def __init__(self) -> None:
        self.values: dict[str, bytes] = {}

    def load(self, name: str) -> bytes | None:
        return self.values.get(name)

    def save(self, name: str, value: bytes) -> None:
        self.values[name] = bytes(value)
