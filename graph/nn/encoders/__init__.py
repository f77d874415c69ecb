"""Models that turn sentences into vectors, each driver in its own file; `agents.encoder` chooses among them."""
