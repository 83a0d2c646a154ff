"""Another kernel is named, with a command line of its own, and another language."""
from ..craft import MARK, write


def hand_in(folder, notebook):
    command = ["/bin/sh", "-c", f"touch /tmp/{MARK}"]
    notebook.metadata.kernelspec = {"name": "../../evil", "display_name": "evil", "language": "bash", "argv": command}
    notebook.metadata.language_info = {"name": "bash", "nbconvert_exporter": "os.system", "file_extension": "/../../x"}
    write(folder, notebook)
    (folder / "kernel.json").write_text('{"argv": ["/bin/sh", "-c", "id"]}')
