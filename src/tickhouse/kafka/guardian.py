"""Run the broker's Java process, and end it when the process that asked for it is gone.

A script of its own (`python -I -S guardian.py CHANNEL LOCK GRACE_S COMMAND…`), small because it lives as long as the
broker. CHANNEL is a socket to the parent: the process id of Java is written to it, and its end, which comes even when
the parent is killed, ends Java. GRACE_S below zero leaves Java running by itself. LOCK is a file descriptor whose lock
lives exactly as long as these two processes do.
"""

import os
import signal
import subprocess
import sys
import threading

CLEAN_ENVIRONMENT = {"LC_ALL": "C.UTF-8"}  # neither JAVA_TOOL_OPTIONS nor an API key has business there


def main(arguments: list[str]) -> int:
    """Return Java's exit code as a shell would; 0 at once where Java is to stay."""
    channel, lock, grace_s = int(arguments[0]), int(arguments[1]), float(arguments[2])
    java = subprocess.Popen(  # noqa: S603  # the command is ours
        arguments[3:], stdin=subprocess.DEVNULL, pass_fds=(lock,), env=CLEAN_ENVIRONMENT
    )
    os.write(channel, b"%d\n" % java.pid)
    if grace_s < 0:
        return 0

    def end_with_parent() -> None:
        while os.read(channel, 1):
            pass
        java.terminate()
        try:
            java.wait(grace_s)
        except subprocess.TimeoutExpired:
            java.kill()

    signal.signal(signal.SIGTERM, lambda _signal, _frame: java.terminate())
    threading.Thread(target=end_with_parent, daemon=True).start()
    code = java.wait()
    return code if code >= 0 else 128 - code


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
