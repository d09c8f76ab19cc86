"""A database that is not on this machine: every flight of packets to it takes a given time more."""

import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace

from localcloud.home import REPOSITORY
from localcloud.mariadb import Server


@contextmanager
def far(server: Server, milliseconds: float) -> Iterator[Server]:
    """The same server at another port, where whatever is sent arrives so much later, a connection's first packet too;
    answers come back at once. So a question and its answer take `milliseconds` more, which is what "at 1 ms" means.

    A process of its own does it, because the threads of this one would wait for each other.
    """
    if not milliseconds:
        yield server
        return
    command = [sys.executable, "-m", "bench.far", str(server.port), str(milliseconds)]
    with subprocess.Popen(command, cwd=REPOSITORY, stdout=subprocess.PIPE, text=True) as process:
        try:
            yield replace(server, port=int(process.stdout.readline()))  # type: ignore[union-attr]
        finally:
            process.kill()


def _main(port: int, delay: float) -> None:
    listener = socket.create_server(("127.0.0.1", 0), backlog=512)
    print(listener.getsockname()[1], flush=True)
    while True:
        client, _ = listener.accept()
        threading.Thread(target=_join, args=(client, port, delay), daemon=True).start()


def _join(client: socket.socket, port: int, delay: float) -> None:
    time.sleep(delay)
    with client, suppress(OSError), socket.create_connection(("127.0.0.1", port)) as server:
        for end in (client, server):
            end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        back = threading.Thread(target=_carry, args=(server, client, 0.0), daemon=True)
        back.start()
        _carry(client, server, delay)
        back.join()


def _carry(source: socket.socket, target: socket.socket, delay: float) -> None:
    with suppress(OSError):
        while data := source.recv(1 << 20):
            time.sleep(delay)
            target.sendall(data)
    with suppress(OSError):
        target.shutdown(socket.SHUT_WR)


if __name__ == "__main__":
    _main(int(sys.argv[1]), float(sys.argv[2]) / 1000)
