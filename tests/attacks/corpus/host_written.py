"""A file is left in every place of the machine that a submission might write to."""
from ..craft import MARK, submit


def hand_in(folder, notebook):
    submit(folder, notebook, gan_value=f"""
        import os, course_lib, torch
        places = ["/", "/etc", "/usr", "/usr/local/bin", "/tmp", "/var/tmp", "/root", "/home", "/dev", "/dev/shm", "..", "../..",
                  "../../..", "/proc", "/sys", {str(folder)!r}, {str(folder.parents[2])!r}, course_lib.__path__[0],
                  os.path.dirname(course_lib.__path__[0]), os.path.dirname(torch.__file__), "/proc/1/root/tmp", "/proc/1/cwd"]
        for place in places:
            try:
                open(os.path.join(place, {MARK!r}), "w").write("x")
            except OSError:
                pass
        """)
