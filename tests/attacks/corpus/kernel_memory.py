"""Memory of the kernel is taken by System V semaphores, and by messages in sockets that nobody reads."""
from ..craft import submit


def hand_in(folder, notebook):
    # 200 MB and 60 MB here, for this machine's sake; sockets of 64 processes would hold thirteen gigabytes.
    submit(folder, notebook, gan_value="""
        import ctypes, socket
        if any(ctypes.CDLL(None).semget(0, 32_000, 0o600) >= 0 for _ in range(100)):
            print("PWNED")
        kept = []
        try:
            while len(kept) < 600:
                kept += socket.socketpair()
                kept[-1].setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 2**20)
                kept[-1].setblocking(False)
                try:
                    while True:
                        kept[-1].send(bytes(100_000))
                except BlockingIOError:
                    pass
        except OSError as error:
            print(len(kept), error)
        kept.clear()
        """)
