"""Runs a development broker in the foreground until Ctrl-C or SIGTERM."""

import argparse
import signal
import sys
import threading

from tools.devkafka.broker import EXTERNAL, LocalBroker
from tools.devkafka.errors import DevKafkaError
from tools.devkafka.properties import DEFAULT_VERSION


def main() -> int:
    """Start, say where it is, wait, stop."""
    parser = argparse.ArgumentParser(
        prog="python -m tools.devkafka",
        description="Run one Apache Kafka node on loopback; its data is gone afterwards.",
    )
    parser.add_argument("--port", type=int, help="port (default: a free one; the next is used too)")
    parser.add_argument("--version", default=DEFAULT_VERSION, help="default: %(default)s")
    parser.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="NAME=VALUE",
        help="another server setting; may be given again",
    )
    options = parser.parse_args()
    extra = dict(setting.partition("=")[::2] for setting in options.set)

    stopped = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stopped.set())

    print(f"starting Apache Kafka {options.version} …", flush=True)
    try:
        with LocalBroker(version=options.version, port=options.port, extra=extra) as broker:
            broker.start()
            print(f"{broker.source} answers at {broker.bootstrap}")
            print(f"  log        {broker.log}")
            print("  stop       Ctrl-C here (its data goes with it)")
            print(f"  commands   export ANABRANCH_BOOTSTRAP={broker.bootstrap}")
            print(f"  tests      {EXTERNAL}={broker.bootstrap} make test")
            print(f"  demo       make demo KAFKA={broker.bootstrap}", flush=True)
            while not stopped.wait(0.5):
                if not broker.running:
                    print(f"the broker ended by itself.\n{broker.tail()}", file=sys.stderr)
                    return 1
    except DevKafkaError as error:
        print(error, file=sys.stderr)
        return 1
    print("stopped", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
