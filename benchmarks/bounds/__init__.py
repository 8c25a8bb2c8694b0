"""Memory and the way out of a worker that has far more to do than it holds."""
