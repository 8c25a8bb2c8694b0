"""anabranch: experimentation as a stream."""
