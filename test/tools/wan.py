"""A long link between this network namespace and a new one, for kernels without netem.

    wan.py NAMESPACE NEAR FAR DEVICE

Makes the namespace and a TUN device on each side. Every packet crosses this process, so that TCP itself sees the delay,
the loss and the rate. NEAR and FAR are the addresses of the two sides. Prints `ready`, then obeys lines on stdin:

    delay MS   loss PERCENT   rate MBIT   one way each; 0 is none
    cut        lets nothing pass and says nothing, as a pulled cable does
    heal

The namespace goes when stdin ends. Needs root, iproute2 and /dev/net/tun.
"""
import fcntl
import heapq
import os
import random
import select
import struct
import subprocess
import sys
import time

TUNSETIFF, IFF_TUN, IFF_NO_PI = 0x400454CA, 0x0001, 0x1000
QUEUE_SECONDS = 0.5
MTU = "1500"


def ip(*words):
    subprocess.run(["ip", *words], check=True)


def open_tun(name):
    descriptor = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK)
    fcntl.ioctl(descriptor, TUNSETIFF, struct.pack("16sH22x", name.encode(), IFF_TUN | IFF_NO_PI))
    return descriptor


def make_link(namespace, near, far, device):
    ip("netns", "add", namespace)
    near_end, far_end = open_tun(device), open_tun(device + "f")
    # The open descriptor goes on working when its device has moved.
    ip("link", "set", device + "f", "netns", namespace)
    ip("link", "set", device, "mtu", MTU, "up")
    ip("address", "add", near, "peer", far, "dev", device)
    ip("-n", namespace, "link", "set", "lo", "up")
    ip("-n", namespace, "link", "set", device + "f", "mtu", MTU, "up")
    ip("-n", namespace, "address", "add", far, "peer", near, "dev", device + "f")
    return near_end, far_end


class Link:
    """What holds for both directions, and the packets under way."""

    def __init__(self, ends):
        self.ends = ends
        self.delay = self.loss = self.rate = 0.0
        self.is_cut = False
        self.free_at = {end: 0.0 for end in ends}
        self.under_way = []
        self.count = 0
        self.chance = random.Random(1)

    def obey(self, line):
        words = line.split()
        if words[0] in ("cut", "heal"):
            self.is_cut = words[0] == "cut"
        else:
            setattr(self, words[0], float(words[1]))

    def take(self, end):
        """Reads what waits at one end and sends it on its way, unless it is lost."""
        while True:
            try:
                packet = os.read(end, 65536)
            except BlockingIOError:
                return
            if self.is_cut or self.chance.random() * 100 < self.loss:
                continue
            arrives = time.monotonic()
            if self.rate > 0:
                begins = max(arrives, self.free_at[end])
                if begins - arrives > QUEUE_SECONDS:
                    continue
                arrives = self.free_at[end] = begins + len(packet) * 8 / (self.rate * 1e6)
            self.count += 1
            other = self.ends[1 - self.ends.index(end)]
            heapq.heappush(self.under_way, (arrives + self.delay / 1000, self.count, other, packet))

    def deliver(self):
        """Hands over what has arrived; gives the milliseconds until the next one, or None."""
        while self.under_way:
            wait = self.under_way[0][0] - time.monotonic()
            if wait > 0:
                return max(1, int(wait * 1000))
            _, _, end, packet = heapq.heappop(self.under_way)
            try:
                os.write(end, packet)
            except OSError:
                pass  # Its queue is full: one more packet that is lost.
        return None


def serve(link):
    poll = select.poll()
    for descriptor in (*link.ends, 0):
        poll.register(descriptor, select.POLLIN)
    while True:
        for descriptor, _ in poll.poll(link.deliver()):
            if descriptor != 0:
                link.take(descriptor)
                continue
            text = os.read(0, 4096).decode()
            if text == "":
                return
            for line in text.splitlines():
                link.obey(line)


def main(namespace, near, far, device):
    try:
        link = Link(make_link(namespace, near, far, device))
        print("ready", flush=True)
        serve(link)
    finally:
        subprocess.run(["ip", "netns", "delete", namespace], check=False)


main(*sys.argv[1:])
