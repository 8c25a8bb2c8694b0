"""Other engines beside ours: the same work, the same input, the same broker, one run."""
