"""From a context produced to its assignment readable by a committed reader."""
