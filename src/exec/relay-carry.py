# Carries bytes between descriptors. Goes before relay-connect.py and relay-listen.py.
import os
import select
import sys

CHUNK = 65536
BROKEN = select.POLLERR | select.POLLHUP | select.POLLNVAL


def carry(ways):
    # Copies from source to sink for each (source, sink, end) until all have ended; end() passes an end on. One chunk is
    # held for each way, so a slow sink slows its source. False if something broke.
    whole = True
    held = {}
    for way in ways:
        held[way] = b""
        for fd in way[:2]:
            os.set_blocking(fd, False)
    while held:
        poll = select.poll()
        for (source, sink, _), data in held.items():
            poll.register(sink, select.POLLOUT if data else 0)
            if not data:
                poll.register(source, select.POLLIN)
        ready = dict(poll.poll())
        for way, data in list(held.items()):
            source, sink, end = way
            try:
                if ready.get(sink, 0) & BROKEN:
                    raise BrokenPipeError
                if not data and source in ready:
                    data = os.read(source, CHUNK)
                    if not data:
                        del held[way]
                        end()
                        continue
                if data:
                    held[way] = data
                    held[way] = data[os.write(sink, data):]
            except BlockingIOError:
                pass
            except OSError:
                whole = False
                held.pop(way, None)
    return whole


def say(mark, text):
    os.write(1, ("%s %s\n" % (mark, text)).encode())


def let_go(*fds):
    # Nobody shall wait for these to end because we have them.
    null = os.open(os.devnull, os.O_RDWR)
    for fd in fds:
        os.dup2(null, fd)
    os.close(null)
