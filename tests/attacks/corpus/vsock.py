"""The machine below, and the kernel, are talked to by vsock, netlink, packet and raw sockets."""
from ..craft import submit


def hand_in(folder, notebook):
    submit(folder, notebook, gan_value="""
        import socket
        for family, kind, protocol in ((40, 1, 0), (17, 3, 768), (2, 3, 1), (16, 3, 0), (16, 3, 9), (16, 3, 15), (38, 5, 0),
                                       (29, 3, 1), (30, 1, 0), (31, 1, 3), (5, 2, 0), (4, 2, 0)):
            try:
                made = socket.socket(family, kind, protocol)
                print(family, protocol, "PWNED" if family != 16 else "")
                made.settimeout(0.2)
                made.connect((2, 22) if family == 40 else (0, 0))
            except Exception as error:
                print(family, error)
        try:
            socket.socketpair(30, 5)
        except OSError as error:
            print(error)
        """)
