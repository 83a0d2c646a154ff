"""It becomes root, by setuid, sudo, su, capabilities and a set-user-id file of its own."""
from ..craft import submit


def hand_in(folder, notebook):
    submit(folder, notebook, gan_value="""
        import ctypes, os, shutil
        for attempt in (lambda: os.setuid(0), lambda: os.setresuid(0, 0, 0), lambda: os.setgid(0), lambda: os.setgroups([0]),
                        lambda: os.chown("/tmp", 0, 0), lambda: os.sched_setscheduler(0, 1, os.sched_param(99))):
            try:
                attempt()
                print("PWNED")
            except OSError:
                pass
        os.system("sudo -n id; su -c id; pkexec id; mount; newgrp root")
        shutil.copy("/bin/sh", "/tmp/sh")
        os.chmod("/tmp/sh", 0o6777)
        print(os.popen("/tmp/sh -pc id").read().replace("=0(", "PWNED"))
        """)
