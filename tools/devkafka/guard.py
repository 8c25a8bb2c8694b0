"""Runs a broker's process and ends it when whoever started it is gone, however that ended.

    python guard.py [--remove DIRECTORY] [--on-orphan COMMAND] -- COMMAND…

Standard input is a pipe from the starter: its end means that the starter died, and then the
child is killed and its directory removed. The child's pid is the first line of standard output.
A SIGKILLed starter can do neither itself, and a signal on the parent's death (PR_SET_PDEATHSIG)
would come already when the *thread* that started the broker ends.
"""

import argparse
import os
import shlex
import shutil
import subprocess
import sys
import threading


def main() -> int:
    """Run the command; its exit code, or minus the signal that ended it."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--remove")
    parser.add_argument("--on-orphan")
    parser.add_argument("command", nargs="+")
    options = parser.parse_args()

    on_linux = sys.platform == "linux"
    child = subprocess.Popen(
        options.command,
        stdin=subprocess.DEVNULL,
        stdout=sys.stderr,
        stderr=sys.stderr,
        preexec_fn=_die_with_parent if on_linux else None,  # noqa: PLW1509 (no thread yet)
    )
    orphaned = threading.Event()

    def watch() -> None:
        while os.read(0, 1024):
            pass
        orphaned.set()
        child.kill()

    threading.Thread(target=watch, daemon=True).start()
    print(child.pid, flush=True)
    code = child.wait()
    if orphaned.is_set():
        if options.on_orphan:
            subprocess.run(shlex.split(options.on_orphan), check=False, capture_output=True)
        if options.remove:
            shutil.rmtree(options.remove, ignore_errors=True)
    return code


def _die_with_parent() -> None:
    """Have the kernel kill this process when the guard, its parent, dies (prctl(2))."""
    import ctypes  # noqa: PLC0415 (in the child only)

    pr_set_pdeathsig = 1
    ctypes.CDLL(None).prctl(pr_set_pdeathsig, 9)


if __name__ == "__main__":
    sys.exit(main())
