"""What a physician drops in, made readable on a phone: decoded in a child process, with identity taken out."""

from bot.adapters.documents.limits import Limits
from bot.adapters.documents.reader import DocumentReader

__all__ = ["DocumentReader", "Limits"]
