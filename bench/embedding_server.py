"""A small `/v1/embeddings` over what can be installed as a package: `.venv-embedders/bin/python bench/embedding_server.py lsa`.

It runs in the embedders' own virtual environment and imports nothing of Palaver. Its first line says where it listens.
"""

import argparse
import json
import tomllib
from collections.abc import Callable, Sequence
from http.server import BaseHTTPRequestHandler, HTTPServer
from importlib import import_module
from pathlib import Path

DOCUMENTS = Path(__file__).parent / "retrieval"
LSA_DIMENSIONS = 192

# A vector of length one for each text.
Embed = Callable[[Sequence[str]], list[list[float]]]


def load_lsa() -> Embed:
    """Latent semantic analysis of the documents themselves: words that stand in the same ones come near each other.

    It has seen no question, and knows no more of a language than 240 short texts tell.
    """
    text, decomposition, preprocessing, pipeline = (
        import_module(f"sklearn.{name}")
        for name in ("feature_extraction.text", "decomposition", "preprocessing", "pipeline")
    )
    features = pipeline.make_union(
        text.TfidfVectorizer(sublinear_tf=True, strip_accents="unicode"),
        text.TfidfVectorizer(sublinear_tf=True, strip_accents="unicode", analyzer="char_wb", ngram_range=(3, 5), min_df=2),
    )
    svd = decomposition.TruncatedSVD(LSA_DIMENSIONS, random_state=0)
    model = pipeline.make_pipeline(features, svd, preprocessing.Normalizer(copy=False))
    model.fit(_read_documents())
    return lambda texts: model.transform(texts).tolist()


def load_wordllama() -> Embed:
    """The token vectors of a large language model, averaged; its weights are in the package."""
    model = import_module("wordllama").WordLlama.load()
    return lambda texts: model.embed(list(texts), norm=True).tolist()


LOADERS: dict[str, Callable[[], Embed]] = {"lsa": load_lsa, "wordllama": load_wordllama}


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    embed: Embed
    name: str

    def do_POST(self) -> None:
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        if self.path not in ("/v1/embeddings", "/embeddings") or asked.get("model") != self.name:
            return self._answer(404, {"error": {"message": f"Here is {self.name} at /v1/embeddings, and no other."}})
        texts = [asked["input"]] if isinstance(asked["input"], str) else asked["input"]
        vectors = type(self).embed(texts)
        data = [{"object": "embedding", "index": i, "embedding": vector} for i, vector in enumerate(vectors)]
        tokens = sum(len(text) for text in texts) // 4
        usage = {"prompt_tokens": tokens, "total_tokens": tokens}
        return self._answer(200, {"object": "list", "data": data, "model": self.name, "usage": usage})

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
    parser.add_argument("model", choices=LOADERS)
    parser.add_argument("--port", type=int, default=0)
    arguments = parser.parse_args()
    embed = staticmethod(LOADERS[arguments.model]())
    handler = type("Handler", (_Handler,), {"embed": embed, "name": arguments.model})
    with HTTPServer(("127.0.0.1", arguments.port), handler) as server:
        print(f"http://127.0.0.1:{server.server_port}/v1", flush=True)
        server.serve_forever()


def _read_documents() -> list[str]:
    files = sorted(DOCUMENTS.glob("documents.*.toml"))
    return [text for file in files for text in tomllib.loads(file.read_text()).values()]


if __name__ == "__main__":
    main()
