"""Work A: a context in, one assignment of one running experiment out."""
