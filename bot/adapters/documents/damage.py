"""What can be wrong with a DICOM file: raised deep inside, told as a note outside."""


class UnreadableError(Exception):
    """The file is DICOM by its first bytes, and cannot be read as such."""


class UnsupportedSyntaxError(Exception):
    """No decoder for this transfer syntax is here."""


class HeaderMismatchError(Exception):
    """A frame inside is not of the size that the header says."""


class UndecodableError(Exception):
    """The pixels, from the frame on that was asked for, do not decode."""
