"""The core: what a conversation is and how a turn runs. It knows no HTTP, SQL, Redis or vendor."""
