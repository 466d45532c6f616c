"""`make record-decode`, or `python -m benchmarks.decode`: J/token of a real GPU by batch size.

`record DIR` decodes a language model with random weights on the first CUDA device at several batch
sizes, then idles, while `tokenergy-collect run` samples that GPU: about two minutes. It needs torch
and transformers, which this project does not install. `table DIR` derives and prints the table of a
recording, anywhere. Exit code 1 if the tokens that the loop counted are outside the index's bounds
or a check fails, 2 if something is missing.
"""

from __future__ import annotations

import argparse
import json
import sys
from dataclasses import fields
from pathlib import Path
from typing import Any

from benchmarks.decode import table
from benchmarks.decode.plan import Plan
from benchmarks.decode.record import ABOUT, Decoder, record
from tokenergy_collectors.base.errors import UserError

_EXAMPLES = """examples:
  python -m benchmarks.decode record build/decode
  python -m benchmarks.decode record build/decode --shape 1b --batches 1,4,16 --eager
  python -m benchmarks.decode table build/decode
"""


def main(arguments: list[str] | None = None) -> int:
    """Record or print; return the exit code."""
    options = _parser().parse_args(arguments)
    try:
        if options.what == "record":
            lengths = {f.name: getattr(options, f.name) for f in fields(Plan)}
            record(options.folder, _decoder(options), Plan(**lengths))
            print(f"recorded: {options.folder}")
            print(f"next: python -m benchmarks.decode table {options.folder}")
            return 0
        return show(options.folder)
    except UserError as error:
        print(f"decode: {error}", file=sys.stderr)
        return 2


def show(folder: Path) -> int:
    """Print a recording's table and what is wrong with it; return the exit code."""
    from tokenergy_sql.checks.checking import run_checks

    with table.derived(folder) as lake:
        found = table.rows(folder, lake)
        wrong = table.outside(found, lake)
        breaches = [line for f in run_checks(lake) if f.breach for line in f.lines(5)]
    about = json.loads((folder / ABOUT).read_text())
    print("; ".join(f"{name} {value}" for name, value in about.items() if _is_plain(value)))
    print("\n".join(table.markdown(found)))
    wrong += breaches
    print("\n".join(wrong) if wrong else "the loop's tokens are inside the bounds; all checks pass")
    return 1 if wrong else 0


def _decoder(options: argparse.Namespace) -> Decoder:
    """Return the model that is to be recorded.

    Raises:
        UserError: torch or transformers is not installed, or there is no CUDA device.
    """
    try:
        import torch

        from benchmarks.decode.llama import LlamaDecoder
    except ImportError as error:
        raise UserError(f"{error.name} is not installed; install torch and transformers") from None
    if not torch.cuda.is_available():
        raise UserError("torch finds no CUDA device")
    return LlamaDecoder(
        options.shape, options.prompt_tokens, options.new_tokens, eager=options.eager
    )


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.decode",
        description="Record a decoding model on a real GPU, or print a recording's J/token.",
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    commands = parser.add_subparsers(dest="what", required=True)
    recording = commands.add_parser("record", help="decode on the first CUDA device and record it")
    recording.add_argument(
        "--shape", default="8b", choices=("8b", "1b", "tiny"), help="size of the model (8b)"
    )
    recording.add_argument(
        "--prompt-tokens", type=int, default=128, metavar="N", help="prompt length (128)"
    )
    recording.add_argument(
        "--new-tokens", type=int, default=512, metavar="N", help="tokens to generate (512)"
    )
    recording.add_argument(
        "--eager", action="store_true", help="launch every kernel separately, without a CUDA graph"
    )
    for field in fields(Plan):
        name, default = f"--{field.name.replace('_', '-')}", getattr(Plan, field.name)
        if field.name == "batches":
            shown = f"default {','.join(map(str, default))}"
            recording.add_argument(name, type=_batches, default=default, metavar="N,N", help=shown)
        else:
            shown = f"seconds; default {default:g}"
            recording.add_argument(name, type=float, default=default, metavar="S", help=shown)
    for command in (recording, commands.add_parser("table", help="print a recording's table")):
        command.add_argument("folder", type=Path, help="folder of the recording")
    return parser


def _batches(text: str) -> tuple[int, ...]:
    found = tuple(int(word) for word in text.split(","))
    if min(found) < 1 or len(set(found)) < len(found):
        raise argparse.ArgumentTypeError("expected distinct numbers of at least 1, such as 1,8,32")
    return found


def _is_plain(value: Any) -> bool:
    return isinstance(value, str | int | float)


if __name__ == "__main__":
    sys.exit(main())
