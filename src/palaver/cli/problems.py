"""Why a document cannot be read, for the person at the terminal."""

from typing import assert_never

from palaver.chat.knowledge import Problem


def to_reason(problem: Problem) -> str:
    match problem:
        case "unknown_kind":
            return "it is no text, Markdown, HTML, PDF, DOCX, XLSX or CSV"
        case "broken":
            return "it is damaged"
        case "encrypted":
            return "it is protected by a password"
        case "too_large":
            return "it is too large, or unpacks to too much"
        case "too_slow":
            return "reading it takes too long"
        case "too_deep":
            return "it is nested too deeply"
        case "empty":
            return "there is no text in it"
        case _:
            assert_never(problem)
