"""The environment is read for secrets and changed for whoever comes next: variables, umask, folder, priority, limits."""
from ..craft import submit


def hand_in(folder, notebook):
    submit(folder, notebook, gan_value="""
        import os, resource
        print(dict(os.environ), open("/proc/1/cmdline").read(), open("/proc/self/mountinfo").read())
        os.environ.clear()
        os.environ.update(PATH="/tmp", PYTHONPATH="/tmp", LD_PRELOAD="/tmp/evil.so", HOME="/", COURSE_SCALE="gpu")
        os.umask(0o777), os.nice(19), os.chdir("/")
        torch.set_default_dtype(torch.float16), torch.set_grad_enabled(False), torch.manual_seed(1)
        torch.set_num_threads(4), torch.use_deterministic_algorithms(True)
        """, generator_losses="""
        torch.set_default_dtype(torch.float32), torch.set_grad_enabled(True)
        """)
