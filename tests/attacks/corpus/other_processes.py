"""The processes around it are traced, written to through /proc/<pid>/mem, and robbed of their descriptors."""
from ..craft import submit


def hand_in(folder, notebook):
    submit(folder, notebook, gan_value="""
        import ctypes, os
        c, reached = ctypes.CDLL(None, use_errno=True), []
        for pid in [int(name) for name in os.listdir("/proc") if name.isdigit()]:
            if pid == os.getpid():
                continue
            for attempt in (lambda: open(f"/proc/{pid}/mem", "r+b"), lambda: open(f"/proc/{pid}/environ").read(),
                            lambda: os.listdir(f"/proc/{pid}/fd"), lambda: 1 / (1 + c.ptrace(16, pid, 0, 0)),
                            lambda: 1 / (1 + c.syscall(438, os.pidfd_open(pid), 1, 0))):
                try:
                    attempt()
                    reached.append(pid)
                except (OSError, ZeroDivisionError):
                    pass
        print("PWNED" if reached else "", reached)
        """)
