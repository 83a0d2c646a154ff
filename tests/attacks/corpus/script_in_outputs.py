"""Scripts are handed in as outputs, widgets and metadata of them, and displayed again when the cells run."""
from ..craft import submit


def hand_in(folder, notebook):
    data = {"text/html": "<script>alert(1)</script>", "application/javascript": "alert(1)",
            "image/svg+xml": "<svg onload=alert(1)>", "text/latex": "$\\href{javascript:alert(1)}{x}$",
            "application/vnd.jupyter.widget-view+json": {"model_id": "1"}}
    for cell in notebook.cells:
        if cell.cell_type == "code":
            cell.outputs = [{"output_type": "display_data", "data": data, "metadata": {"text/html": {"isolated": True}}}]
    notebook.metadata.widgets = {"application/vnd.jupyter.widget-state+json": {"state": {"1": {"model_name": "HTMLModel"}}}}
    submit(folder, notebook, gan_value=f"""
        from IPython.display import display
        display({data!r}, raw=True)
        import ipywidgets
        display(ipywidgets.HTML("<script>alert(1)</script>"))
        print("<script>alert(1)</script>")
        raise ValueError("<script>alert(1)</script>")
        """)
