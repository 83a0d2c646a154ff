"""abort() after all limits have been lifted, for a core file in the grader's folder."""
from ..craft import submit


def hand_in(folder, notebook):
    submit(folder, notebook, gan_value="""
        import os, resource
        for name in ("CORE", "NPROC", "DATA", "FSIZE", "CPU", "NOFILE"):
            try:
                resource.setrlimit(getattr(resource, f"RLIMIT_{name}"), (resource.RLIM_INFINITY,) * 2)
            except (OSError, ValueError):
                pass
        os.abort()
        """)
