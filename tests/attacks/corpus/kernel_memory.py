"""Memory of the kernel is taken by System V semaphores and by messages in sockets that nobody reads."""
from ..craft import submit


def hand_in(folder, notebook):
    # 200 MB and 100 MB here, for this machine's sake.
    submit(folder, notebook, gan_value="""
        import ctypes, socket
        made = sum(ctypes.CDLL(None).semget(0, 32_000, 0o600) >= 0 for _ in range(100))
        print("sets of semaphores:", made)
        kept = []
        try:
            while len(kept) < 250:
                kept += socket.socketpair()
                kept[-1].setblocking(False)
                try:
                    while True:
                        kept[-1].send(bytes(100_000))
                except BlockingIOError:
                    pass
        except OSError as error:
            print(error)
        """)
