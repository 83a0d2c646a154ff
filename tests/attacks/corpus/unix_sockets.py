"""Services of the host are called by their sockets, in the file system and without names: docker, dbus, X11."""
from ..craft import submit


def hand_in(folder, notebook):
    submit(folder, notebook, gan_value="""
        import socket
        names = ["/var/run/docker.sock", "/run/docker.sock", "/run/containerd/containerd.sock", "/run/dbus/system_bus_socket",
                 "/run/systemd/private", "/tmp/.X11-unix/X0", "\\0/tmp/.X11-unix/X0", "\\0/tmp/dbus-session", "\\0"]
        try:
            names += ["\\0" + line.split()[-1][1:] for line in open("/proc/net/unix") if line.split()[-1].startswith("@")]
        except OSError:
            pass
        for name in names:
            try:
                socket.socket(socket.AF_UNIX).connect(name)
                print("PWNED", name)
            except OSError:
                pass
        """)
