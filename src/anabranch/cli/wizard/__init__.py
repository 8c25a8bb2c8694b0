"""The questions of ``anabranch create``; only on a terminal. What is known is not asked again."""
