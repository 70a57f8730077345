"""The Matrix engine: everything that knows nio, vodozemac, python-olm and the client-server API."""

from bot.adapters.matrix.engine import MatrixEngine
from bot.adapters.matrix.settings import Password, SignIn, Timeouts, Token

__all__ = ["MatrixEngine", "Password", "SignIn", "Timeouts", "Token"]
