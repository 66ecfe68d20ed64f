"""Runs a program on a terminal of its own, which is not its stdin, stdout or stderr.

What is written to descriptor 3 is typed there, and what the terminal shows is read from it. At the end a line of JSON on
descriptor 4 tells how the program ended and how it left the terminal.
"""

import fcntl
import json
import os
import pty
import select
import signal
import sys
import termios

master, slave = pty.openpty()
child = os.fork()
if child == 0:
    os.setsid()
    fcntl.ioctl(slave, termios.TIOCSCTTY, 0)
    os.closerange(3, 256)
    os.execvp(sys.argv[1], sys.argv[1:])

for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT):
    signal.signal(number, lambda number, _frame: os.kill(child, number))
ended, status = 0, 0
sources = [master, 3]
while not ended:
    ready, _, _ = select.select(sources, [], [], 0.02)
    if master in ready:
        os.write(3, os.read(master, 4096))
    if 3 in ready:
        keys = os.read(3, 4096)
        if keys:
            os.write(master, keys)
        else:
            sources.remove(3)
    if not ready:
        ended, status = os.waitpid(child, os.WNOHANG)
local = termios.tcgetattr(slave)[3]
code = os.waitstatus_to_exitcode(status)
report = {"code": code, "echo": bool(local & termios.ECHO), "lines": bool(local & termios.ICANON)}
os.write(4, (json.dumps(report) + "\n").encode())
