"""Modules named torch, math, IPython, course_lib and sitecustomize lie beside the notebook."""
from ..craft import MARK, write


def hand_in(folder, notebook):
    write(folder, notebook)
    code = f"import os\nos.system('touch /tmp/{MARK}')\nraise SystemExit\n"
    for name in ("torch.py", "math.py", "IPython.py", "sitecustomize.py", "usercustomize.py", "nbformat.py", "json.py", "x.pth",
                 "ipython_config.py", "jupyter_nbconvert_config.py", "nbgrader_config.py", "autograder.py", "conftest.py"):
        (folder / name).write_text(code)
    (folder / "course_lib").mkdir()
    (folder / "course_lib" / "__init__.py").write_text(code)
