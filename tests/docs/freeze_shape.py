"""Whom freeze_peers.py asks other systems about; without their SDKs, for the tests to know too."""

COUNTRIES = ["DE", "AT", "FR", "DE", "AT"]


def people() -> list[tuple[str, str]]:
    """Units and their countries."""
    return [(f"u{i}", COUNTRIES[i % len(COUNTRIES)]) for i in range(1000)]
