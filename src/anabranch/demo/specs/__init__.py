"""The demonstration's specs, as spec files: the loader reads them, nothing imports them."""
