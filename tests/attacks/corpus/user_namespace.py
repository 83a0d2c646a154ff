"""A user namespace of its own, in which it would be root, is made by unshare, clone and clone3."""
from ..craft import submit


def hand_in(folder, notebook):
    submit(folder, notebook, gan_value="""
        import ctypes, os
        c = ctypes.CDLL(None, use_errno=True)
        for flag in (0x10000000, 0x10000000 | 0x20000, 0x40000000, 0x02000000):
            if c.unshare(flag) == 0 or c.syscall(56, flag | 17, 0, 0, 0, 0) > 0 or c.syscall(435, 0, 0) > 0:
                print("PWNED")
        os.system("unshare -Ur touch /tmp/root; bwrap --unshare-user --bind / / touch /tmp/root")
        print("PWNED" if os.path.exists("/tmp/root") else "")
        """)
