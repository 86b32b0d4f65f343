"""A stand-in for an LLM server: it speaks the OpenAI protocol, needs no GPU, and talks and fails as it is told.

Demos, tests and benchmarks run against it. It imports nothing else of Palaver, so that a mistake in Palaver cannot make
both sides of a test agree. `serve` and `run` are the server; `running` is the same inside a test or benchmark.
"""

from palaver.llm_server.options import Options
from palaver.llm_server.script import Fault, Script
from palaver.llm_server.server import Running, new_event_loop, run, running, serve
from palaver.llm_server.stand_in import StandIn

__all__ = ["Fault", "Options", "Running", "Script", "StandIn", "new_event_loop", "run", "running", "serve"]
