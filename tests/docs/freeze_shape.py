"""Whom freeze_peers.py asks other systems about; without their SDKs, for the tests to know too."""

COUNTRIES = ["DE", "AT", "FR", "DE", "AT"]


def people() -> list[tuple[str, str]]:
    """Units and their countries."""
    return [(f"u{i}", COUNTRIES[i % len(COUNTRIES)]) for i in range(1000)]


def context_keys() -> list[str]:
    """Keys of contexts, the last one of somebody from quality assurance."""
    return [*(unit for unit, _ in people()), "qa-1"]
