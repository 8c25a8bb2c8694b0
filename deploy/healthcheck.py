# noqa: INP001 - a script, not a module of a package
"""The image's health check: whether what runs in the container is alive; exits with 0 or 1.

A container runs a worker, the dashboard or the evaluation API, and each has a port of its own. What
listens is asked; whoever listens on another port names it: ``python healthcheck.py 9000``.
"""

from __future__ import annotations

import sys
import urllib.error
import urllib.request
from collections.abc import Sequence

WORKER, DASHBOARD, SERVE = 9464, 8080, 8081


def check(ports: Sequence[int], path: str = "/livez", timeout: float = 3) -> str | None:
    """What is wrong, or None: the first port that answers decides."""
    for port in ports:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=timeout):
                return None
        except urllib.error.HTTPError as error:
            return f"{path} on port {port} answered {error.code}"
        except urllib.error.URLError as error:
            if not isinstance(error.reason, ConnectionRefusedError):
                return f"{path} on port {port}: {error.reason}"
        except TimeoutError:
            return f"{path} on port {port} did not answer in {timeout} s"
    return f"nothing listens on {', '.join(map(str, ports))}"


if __name__ == "__main__":
    wrong = check([int(port) for port in sys.argv[1:]] or [WORKER, DASHBOARD, SERVE])
    if wrong is not None:
        sys.exit(wrong)
