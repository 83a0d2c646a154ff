"""System calls that reach beyond a process are made: bpf, keyrings, perf, modules, clocks, io_uring, reboot."""
from ..craft import submit


def hand_in(folder, notebook):
    submit(folder, notebook, gan_value="""
        import ctypes
        c = ctypes.CDLL(None, use_errno=True)
        for number in (321, 248, 250, 298, 313, 175, 176, 227, 305, 425, 426, 169, 246, 320, 310, 311, 304, 303, 163, 323, 135):
            c.syscall(number, 0, 0, 0, 0, 0, 0)
        for number in (0x40000000 | 39, 0x40000000 | 101):  # by the numbers of x32
            c.syscall(number, 0, 0, 0, 0)
        c.reboot(0x1234567)
        """)
