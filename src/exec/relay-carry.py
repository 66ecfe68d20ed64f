# Carries bytes between descriptors. Goes before relay-connect.py and relay-listen.py.
import os
import select
import sys

CHUNK = 65536
BROKEN = select.POLLERR | select.POLLHUP | select.POLLNVAL


def carry(ways):
    # Copies from source to sink for each (source, sink, over) until all are over. over(total, whole) hears how many bytes
    # went, and whether the source has ended; it passes an end on. One chunk is held for each way, so a slow sink slows its
    # source. False if something broke.
    all_whole = True
    held = {}
    total = {}

    def leave(way, whole):
        del held[way]
        way[2](total[way], whole)

    for way in ways:
        held[way] = b""
        total[way] = 0
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
            source, sink, _ = way
            try:
                if ready.get(sink, 0) & BROKEN:
                    raise BrokenPipeError
                if not data and source in ready:
                    data = os.read(source, CHUNK)
                    if not data:
                        leave(way, True)
                        continue
                if data:
                    held[way] = data
                    length = os.write(sink, data)
                    held[way] = data[length:]
                    total[way] += length
            except BlockingIOError:
                pass
            except OSError:
                all_whole = False
                leave(way, False)
    return all_whole


def shut(made):
    try:
        made.shutdown(1)
    except OSError:
        pass


def say(mark, text, fd=1):
    os.write(fd, ("%s %s\n" % (mark, text)).encode())


def let_go(*fds):
    # Nobody shall wait for these to end because we have them.
    null = os.open(os.devnull, os.O_RDWR)
    for fd in fds:
        os.dup2(null, fd)
    os.close(null)
