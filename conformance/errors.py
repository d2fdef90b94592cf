"""The one kind of error that a user is to be told of in one line."""


class UserError(Exception):
    """The call or a file is bad: the message says what, where, and what to do. Exit status 2."""
