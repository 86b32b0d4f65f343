"""People who talk to each other: our own API, beside the contract's connections. FastAPI style, no slash at the end."""
