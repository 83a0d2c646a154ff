"""The walls are mounted over, unmounted, left by chroot, pivot_root and the new mount calls."""
from ..craft import submit


def hand_in(folder, notebook):
    submit(folder, notebook, gan_value="""
        import ctypes, os
        c = ctypes.CDLL(None, use_errno=True)
        done = [c.mount(b"none", b"/tmp", b"tmpfs", 0, 0), c.mount(b"/", b"/tmp", None, 4096, None),
                c.mount(None, b"/", None, 32, None), c.umount2(b"/proc", 2), c.umount2(b"/work", 2),
                c.chroot(b"/tmp"), c.pivot_root(b"/tmp", b"/tmp"),
                c.syscall(428, -100, b"/", 1), c.syscall(430, b"tmpfs", 0), c.syscall(442, -100, b"/", 0, 0, 0)]
        print("PWNED" if 0 in done else "refused")
        for device in ("vda", "sda", "mem", "kmsg"):
            try:
                os.mknod(f"/tmp/{device}", 0o60666, os.makedev(254, 0))
                open(f"/tmp/{device}", "rb").read(10)
            except OSError:
                pass
        """)
