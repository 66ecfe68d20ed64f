# Joins stdin and stdout with a connection: to a unix socket or a TCP port. Goes behind relay-carry.py.
#   arguments: the mark, `unix` or `tcp`, the path or the host, the port
import _socket as socket


def connect(network, address, port):
    if network == "unix":
        choices = [(socket.AF_UNIX, socket.SOCK_STREAM, 0, "", address)]
    else:
        choices = socket.getaddrinfo(address, int(port), 0, socket.SOCK_STREAM)
    for family, kind, protocol, _, to in choices:
        try:
            made = socket.socket(family, kind, protocol)
            made.connect(to)
            break
        except OSError as failure:
            why = failure
    else:
        raise why
    if network == "tcp":
        made.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return made


def end_stdout():
    # A server may have made stdin and stdout one socket, of which only one direction ends now.
    copy = os.dup(1)
    let_go(1)
    try:
        shut(socket.socket(fileno=copy))
    except OSError:
        pass
    try:
        os.close(copy)
    except OSError:
        pass


def tell(total, whole):
    # Some servers do not say that stdout has ended before we have, others only when stderr has too.
    if whole:
        end_stdout()
    try:
        if not one_output:
            say(mark, "%s %d" % ("end" if whole else "broke", total), 2)
    except OSError:
        pass
    let_go(2)


mark = sys.argv[1]
one_output = os.path.sameopenfile(1, 2)
try:
    made = connect(*sys.argv[2:5])
except OSError as failure:
    say(mark, "failed " + (failure.strerror or "it cannot be reached"))
    sys.exit(1)
say(mark, "open")
ways = [(0, made.fileno(), lambda *_: shut(made)), (os.dup(made.fileno()), 1, tell)]
os._exit(0 if carry(ways) else 1)
