"""Every number that `/metrics` tells, on one page. Labels have few values: no person, no conversation, no text.

A new one is declared here and counted where it happens: `REFUSED.of["turns_a_minute"].add()`.
"""

from palaver.watching.series import Counters, Gauges, Histograms

SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0, 600.0)
SHORT_SECONDS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5)
SIZES = (1, 2, 4, 8, 16, 32, 64, 128)

# Turns. `api` is the one that asked; `other` where the server itself went on, with what had waited.
BEGUN = Counters("palaver_turns_begun_total", "Replies that were begun.", ("api",))
ENDED = Counters("palaver_turns_ended_total", "Replies that have ended, by how.", ("api", "end"))
GIVEN_AGAIN = Counters(
    "palaver_answers_given_again_total", "Replies that are an earlier answer, kept for that."
).alone()
RUNNING = Gauges("palaver_replies_running", "Replies that are being made.").alone()
TURN_SECONDS = Histograms(
    "palaver_turn_seconds", "From the committed message to the end of its reply.", SECONDS, ("api",)
)
FIRST_PIECE = Histograms(
    "palaver_first_piece_seconds", "From the committed message to the first piece.", SECONDS
).alone()
PIECES = Counters("palaver_reply_pieces_total", "Pieces that replies came in, counted when they end.").alone()
CHARACTERS = Counters("palaver_reply_characters_total", "Characters of replies, counted when they end.").alone()
TOKENS = Counters(
    "palaver_tokens_total", "Tokens of replies that have ended; cached ones are among those in.", ("kind",)
)
TOKENS_IN, TOKENS_OUT, TOKENS_CACHED = (TOKENS.of[kind] for kind in ("in", "out", "cached"))

# LLM servers.
UPSTREAM_FAILURES = Counters("palaver_upstream_failures_total", "Tries that an LLM server failed.", ("server", "why"))
UPSTREAM_FAILOVERS = Counters(
    "palaver_upstream_failovers_total", "Replies that went on from this server to another.", ("server",)
)

# HTTP and sockets.
REQUESTS = Counters("palaver_http_requests_total", "HTTP requests that were answered.", ("method", "route", "status"))
REQUEST_SECONDS = Histograms(
    "palaver_http_request_seconds", "Until an answer was there; of a stream, its beginning.", SECONDS, ("api",)
)
REFUSED = Counters("palaver_refused_total", "Requests and messages that met a limit.", ("limit",))
WEBSOCKETS = Gauges("palaver_websockets_open", "WebSockets that are open.").alone()
STREAMS = Gauges("palaver_streams_open", "Streams of server-sent events that are open.").alone()

# What reaches people who are away. `outcome`: sent, failed (and tried again), dead, gone.
DELIVERIES = Counters(
    "palaver_deliveries_total", "Tries to reach people who are away, by what became of them.", ("channel", "outcome")
)

# Store and bus.
COMMIT_SIZE = Histograms("palaver_store_commit_size", "Writes that shared a commit.", SIZES).alone()
COMMIT_SECONDS = Histograms(
    "palaver_store_commit_seconds", "What a commit took, synced to disk.", SHORT_SECONDS
).alone()
BUS_UP = Gauges(
    "palaver_bus_up", "Whether the worker hears of the others by Redis; 1 where it is alone.", by_worker=True
).alone()
BUS_GAPS = Counters(
    "palaver_bus_gaps_total", "How often a worker may have missed something and looked into the store."
).alone()
BUS_SECONDS = Histograms("palaver_bus_seconds", "Until Redis answered a ping.", SHORT_SECONDS).alone()

# The process.
LOOP_LAG = Histograms("palaver_loop_lag_seconds", "How late a timer of the event loop was.", SHORT_SECONDS).alone()
MEMORY = Gauges("palaver_process_memory_bytes", "Resident memory of a worker.", by_worker=True).alone()
CPU = Counters("palaver_process_cpu_seconds_total", "CPU time of a worker, user and system.", by_worker=True).alone()
