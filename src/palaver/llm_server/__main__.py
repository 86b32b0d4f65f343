"""`python -m palaver.llm_server --port 0`: the stand-in as a process of its own."""

import argparse
from collections.abc import Sequence

import msgspec

from palaver.llm_server.options import Options
from palaver.llm_server.server import run


def main(arguments: Sequence[str] | None = None) -> None:
    parser = _to_parser()
    try:
        options = msgspec.convert(vars(parser.parse_args(arguments)), Options, strict=False)
    except msgspec.ValidationError as error:
        parser.error(str(error))
    try:
        run(options)
    except OSError as error:
        parser.exit(1, f"Cannot listen on {options.host}:{options.port}: {error}. Another --port may do; 0 is any.\n")


def _to_parser() -> argparse.ArgumentParser:
    """A parser with an argument for each option; one that is not given is left to its default."""
    parser = argparse.ArgumentParser(
        prog="python -m palaver.llm_server",
        description="A stand-in for an LLM server, for demos, tests and benchmarks.",
        argument_default=argparse.SUPPRESS,
    )
    described = msgspec.json.schema(Options)["$defs"]["Options"]["properties"]
    for field in msgspec.structs.fields(Options):
        flag = "--" + field.name.replace("_", "-")
        sentence = f"{described[field.name]['description']} (default: {field.default})"
        if isinstance(field.default, bool):
            parser.add_argument(flag, action="store_true", help=sentence)
        else:
            parser.add_argument(flag, nargs="+" if isinstance(field.default, tuple) else None, help=sentence)
    return parser


if __name__ == "__main__":
    main()
