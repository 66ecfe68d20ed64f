# Listens on the box. Goes behind relay-carry.py. Whoever arrives waits until another relay comes to the meeting place,
# a second socket beside the first one, and is joined with that: any of those who wait with any relay, for they are all
# meant for the same.
#   arguments: the mark, `unix` or `tcp`, the path or the host, the port, the path of the meeting place
#   stdout: `mark listening address`, then a line for each who arrives
#   stdin: a line lets one go who waits; the end of the file ends it all, but for those who are joined
import signal
import socket

LOOK_MS = 2000


def listen(family, to):
    made = socket.socket(family)
    made.bind(to)
    made.listen(128)
    made.setblocking(False)
    return made


def accept(listener):
    try:
        made = listener.accept()[0]
        made.setblocking(False)
        return made
    except OSError:
        return None


def join(one, other):
    # A process of their own; they do not need us any more.
    if os.fork():
        one.close()
        other.close()
        return
    try:
        front.close()
        back.close()
        let_go(0, 1, 2)
        for stranger in waiting:
            stranger.close()
        ways = []
        for a, b in ((one, other), (other, one)):
            ways.append((a.fileno(), os.dup(b.fileno()), lambda *_, b=b: shut(b)))
        carry(ways)
    finally:
        os._exit(0)


mark, network, address, port, meeting = sys.argv[1:6]
for name in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT):
    signal.signal(name, lambda *_: sys.exit(0))
signal.signal(signal.SIGCHLD, signal.SIG_IGN)
os.umask(0o177)
waiting = []
ours = []
try:
    try:
        back = listen(socket.AF_UNIX, meeting)
        ours.append(meeting)
        if network == "unix":
            front = listen(socket.AF_UNIX, address)
            ours.append(address)
        else:
            front = listen(socket.AF_INET6 if ":" in address else socket.AF_INET, (address, int(port)))
            port = front.getsockname()[1]
    except OSError as failure:
        say(mark, "failed " + (failure.strerror or "it cannot listen there"))
        sys.exit(1)
    say(mark, "listening %s" % port)
    let_go(2)
    poll = select.poll()
    for fd in (0, front.fileno(), back.fileno()):
        poll.register(fd, select.POLLIN)
    # The supervisor removes the directory when the plugin has ended, whether or not anybody hears of that here.
    while os.path.exists(meeting):
        ready = dict(poll.poll(LOOK_MS))
        if 0 in ready:
            words = os.read(0, CHUNK)
            if not words:
                break
            for _ in range(words.count(b"\n")):
                if waiting:
                    waiting.pop(0).close()
        if front.fileno() in ready:
            made = accept(front)
            if made:
                waiting.append(made)
                os.write(1, b"+\n")
        if back.fileno() in ready:
            made = accept(back)
            if made and waiting:
                join(waiting.pop(0), made)
            elif made:
                made.close()
except OSError:
    pass
finally:
    for path in ours:
        try:
            os.unlink(path)
        except OSError:
            pass
