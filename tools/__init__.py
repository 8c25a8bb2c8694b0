"""Tools for working on anabranch; none of them is installed with the package."""
