"""Both commands as a user gives them, in the process of the tests: a start takes a second."""

from __future__ import annotations

import io
import signal
import sys
from contextlib import redirect_stderr, redirect_stdout

import pytest

from tokenergy_collectors import cli as collect
from tokenergy_sql import cli

_ENTRIES = {"tokenergy": cli.main, "tokenergy-collect": collect.main}
_SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)


def command(name: str, *arguments: str) -> tuple[int, str, str]:
    """Run a command by its entry point; return its exit code and both of its outputs."""
    out, err = io.StringIO(), io.StringIO()
    handlers = [(number, signal.getsignal(number)) for number in _SIGNALS]
    code: object = 0
    with pytest.MonkeyPatch.context() as patch, redirect_stdout(out), redirect_stderr(err):
        patch.setattr(sys, "argv", [name, *arguments])
        patch.delenv("TOKENERGY_LAKE", raising=False)
        try:
            _ENTRIES[name]()
        except SystemExit as ended:
            code = ended.code or 0
        finally:
            for number, handler in handlers:
                signal.signal(number, handler)
    assert isinstance(code, int)
    return code, out.getvalue(), err.getvalue()
