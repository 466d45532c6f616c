"""The exception for mistakes of the user: a command prints its message and exits with code 2."""


class UserError(Exception):
    """A file, a key or a value that the user gave cannot be used.

    The message is a single line that names the thing, the value and what was expected.
    """
