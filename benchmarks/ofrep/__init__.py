"""How many flags one process of ``anabranch serve`` answers, and how soon."""
