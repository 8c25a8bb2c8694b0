"""The four stages as pure processors: a batch in; state changes and records out."""
