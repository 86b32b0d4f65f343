"""The bytes of HTTP answers."""

from http import HTTPStatus

import msgspec

SECRET = "VENDORSECRET"
"""Stands in every text that a vendor would write, so that a test can look for leaks of such text."""

LAST_CHUNK = b"0\r\n\r\n"


def to_head(status: int, content_type: str, *headers: str) -> bytes:
    lines = (f"HTTP/1.1 {status} {HTTPStatus(status).phrase}", f"content-type: {content_type}", *headers, "\r\n")
    return "\r\n".join(lines).encode()


def to_response(status: int, content_type: str, body: bytes, *headers: str) -> bytes:
    return to_head(status, content_type, f"content-length: {len(body)}", *headers) + body


def to_json_response(body: bytes, status: int = 200) -> bytes:
    return to_response(status, "application/json", body)


def to_chunk(data: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(data), data)


def to_error(message: str, kind: str, code: str | None = None) -> bytes:
    """An error as OpenAI words it."""
    return msgspec.json.encode({"error": {"message": message, "type": kind, "param": None, "code": code}})


def to_error_response(status: int, message: str, kind: str, code: str | None = None, *headers: str) -> bytes:
    return to_response(status, "application/json", to_error(message, kind, code), *headers)


def to_bad_request(message: str) -> bytes:
    return to_error_response(400, message, "invalid_request_error")
