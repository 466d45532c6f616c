"""The one exception that reaches a person: it becomes one line and exit code 2."""


class UserError(Exception):
    """Something the user gave (a file, a key, a value) cannot be used.

    The message is a single line that names the thing, the value and what was expected.
    """
