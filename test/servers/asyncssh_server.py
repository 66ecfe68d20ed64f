"""An SSH server made with asyncssh: commands through /bin/sh, and forwards of every kind, both ways.

Takes a port, the host key, the authorized keys and a user; and, if it is to let in whoever knows them, questions and
answers in turns. Logs "listening"; resets all connections on SIGUSR1.
"""

import asyncio
import os
import pwd
import signal
import sys

import asyncssh

PORT, HOST_KEY, AUTHORIZED_KEYS, USER = int(sys.argv[1]), sys.argv[2], sys.argv[3], sys.argv[4]
QUESTIONS, ANSWERS = sys.argv[5::2], sys.argv[6::2]
CHUNK = 64 * 1024


class Door(asyncssh.SSHServer):
    """Lets one user in, and forwards whatever is asked for."""

    open = set()

    def connection_made(self, conn):
        self.connection = conn
        Door.open.add(conn)

    def connection_lost(self, exc):
        Door.open.discard(self.connection)

    def begin_auth(self, username):
        if username != USER:
            raise asyncssh.PermissionDenied("There is no such account.")
        return True

    def kbdint_auth_supported(self):
        return bool(QUESTIONS)

    def get_kbdint_challenge(self, username, lang, submethods):
        return "Questions", "Answer them all.", "en", [(question, False) for question in QUESTIONS]

    def validate_kbdint_response(self, username, responses):
        return list(responses) == ANSWERS

    def connection_requested(self, dest_host, dest_port, orig_host, orig_port):
        return True

    def server_requested(self, listen_host, listen_port):
        return True

    def unix_connection_requested(self, dest_path):
        return True

    def unix_server_requested(self, listen_path):
        return True


def environment(process):
    """A short environment that owes nothing to the server's, and what the client sent."""
    account = pwd.getpwuid(os.getuid())
    peer, own = process.get_extra_info("peername"), process.get_extra_info("sockname")
    return {
        "HOME": account.pw_dir,
        "USER": USER,
        "LOGNAME": USER,
        "SHELL": "/bin/sh",
        "PATH": "/usr/local/bin:/usr/bin:/bin",
        "SSH_CLIENT": f"{peer[0]} {peer[1]} {own[1]}",
        "SSH_CONNECTION": f"{peer[0]} {peer[1]} {own[0]} {own[1]}",
        **process.env,
    }


async def feed(process, child):
    """Passes on what the client sends, its signals too, until its end; then the command's input ends."""
    try:
        while True:
            try:
                data = await process.stdin.read(CHUNK)
            except asyncssh.SignalReceived as request:
                os.killpg(child.pid, getattr(signal, "SIG" + request.signal))
                continue
            if not data:
                break
            child.stdin.write(data)
            await child.stdin.drain()
    except (OSError, asyncssh.Error):
        pass  # The connection is gone, or the command does not read any more.
    finally:
        child.stdin.close()


async def drain(reader, writer):
    """Passes on what the command writes."""
    try:
        while True:
            data = await reader.read(CHUNK)
            if not data:
                break
            writer.write(data)
            await writer.drain()
    except (OSError, asyncssh.Error):
        reader._transport.close()  # Nobody is there to read: the command must learn it from its next write.


async def run(process):
    """Runs one command to its end."""
    child = await asyncio.create_subprocess_exec(
        "/bin/sh", *(["-c", process.command] if process.command else []),
        cwd=pwd.getpwuid(os.getuid()).pw_dir, env=environment(process), start_new_session=True,
        stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
    )
    feeding = asyncio.ensure_future(feed(process, child))
    await asyncio.gather(drain(child.stdout, process.stdout), drain(child.stderr, process.stderr))
    status = await child.wait()
    if status >= 0:
        process.exit(status)
    else:
        process.exit_with_signal(signal.Signals(-status).name[3:])
    await process.wait_closed()
    feeding.cancel()


def reset():
    for connection in list(Door.open):
        connection.abort()


async def main():
    asyncio.get_running_loop().add_signal_handler(signal.SIGUSR1, reset)
    server = await asyncssh.listen(
        "127.0.0.1", PORT, server_factory=Door, process_factory=run, encoding=None, server_host_keys=[HOST_KEY],
        authorized_client_keys=AUTHORIZED_KEYS,
    )
    print("listening", asyncssh.__version__, file=sys.stderr, flush=True)
    await server.wait_closed()


asyncio.run(main())
