"""A go-plugin plugin in Python: the demonstration's service, without generated code.

Needs grpcio (Debian: python3-grpcio) and nothing else. It knows no AutoMTLS, so hosts must turn that off.
"""

import json
import os
import platform
import signal
import socket
import sys
import tempfile
import threading
from concurrent import futures
from datetime import datetime, timezone

import grpc

SERVING = b"\x08\x01"
NOTHING = b""


def text(value):
    """A message whose field 1 is a string."""
    data = value.encode()
    length, rest = b"", len(data)
    while rest > 127:
        length += bytes([rest & 127 | 128])
        rest >>= 7
    return b"\x0a" + length + bytes([rest]) + data


def field_1(message):
    """Field 1 of a message that has no other: a string or a number."""
    value, shift, at = 0, 0, 1
    while at < len(message):
        value |= (message[at] & 127) << shift
        shift += 7
        at += 1
        if message[at - 1] < 128:
            break
    return message[at : at + value].decode() if message[:1] == b"\x0a" else value


def log(level, message, **fields):
    """A line as hclog writes it, which hosts give to their loggers."""
    now = datetime.now(timezone.utc).isoformat(timespec="microseconds")
    print(json.dumps({"@level": level, "@message": message, "@timestamp": now, **fields}), file=sys.stderr, flush=True)


def greet(request, _context):
    name = field_1(request)
    log("info", "greeting", to=name)
    version = platform.python_version()
    return text(f"Hello {name}, this is process {os.getpid()} on {socket.gethostname()}, Python {version}.")


def stream(request, _context):
    for _ in range(field_1(request) or 0):
        yield text("x" * 1024)


def main():
    if os.environ.get("GO_PLUGIN_SSH_DEMO") != "hello":
        sys.exit("This is the plugin of an example; a host starts it.")
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    over = threading.Event()

    def shutdown(_request, _context):
        over.set()
        return NOTHING

    unary, streaming = grpc.unary_unary_rpc_method_handler, grpc.unary_stream_rpc_method_handler
    services = {
        "demo.Demo": {"Greet": unary(greet), "Stream": streaming(stream)},
        "grpc.health.v1.Health": {"Check": unary(lambda _request, _context: SERVING)},
        "plugin.GRPCController": {"Shutdown": unary(shutdown)},
    }
    server = grpc.server(futures.ThreadPoolExecutor())
    server.add_generic_rpc_handlers(
        [grpc.method_handlers_generic_handler(name, methods) for name, methods in services.items()]
    )
    directory = os.environ.get("PLUGIN_UNIX_SOCKET_DIR") or tempfile.gettempdir()
    path = os.path.join(directory, f"plugin{os.getpid()}")
    server.add_insecure_port(f"unix:{path}")
    server.start()
    print(f"1|1|unix|{path}|grpc", flush=True)
    over.wait()
    server.stop(grace=1).wait()


if __name__ == "__main__":
    main()
