"""The kernel's settings are written under /proc and /sys, and its host's name is changed."""
from ..craft import submit


def hand_in(folder, notebook):
    submit(folder, notebook, gan_value="""
        import glob, os, socket
        for path in ["/proc/sys/kernel/core_pattern", "/proc/sysrq-trigger", "/proc/sys/vm/drop_caches", "/sys/power/state",
                     "/proc/sys/kernel/hostname", "/proc/sys/kernel/modprobe", "/proc/self/oom_score_adj", "/proc/self/uid_map",
                     "/proc/1/oom_score_adj", "/proc/self/setgroups", "/sys/kernel/uevent_helper",
                     *glob.glob("/sys/fs/cgroup/**/cgroup.procs"), *glob.glob("/sys/fs/cgroup/*/release_agent"),
                     *glob.glob("/sys/class/*/*/uevent")]:
            try:
                os.write(os.open(path, os.O_WRONLY), b"-1000")
                print("PWNED", path)
            except OSError:
                pass
        try:
            socket.sethostname("pwned")
            print("PWNED")
        except OSError:
            pass
        """)
