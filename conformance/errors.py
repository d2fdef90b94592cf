"""The one kind of error that a user is to be told of in one line."""

from conformance.text import one_line


class UserError(Exception):
    """The call or a file is bad: the message says what, where, and what to do. Exit status 2.

    Whatever a file, a name or another program put into the message, it is one printable line.
    """

    def __init__(self, message: str) -> None:
        super().__init__(one_line(message))
