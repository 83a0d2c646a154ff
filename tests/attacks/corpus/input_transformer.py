"""An input transformer replaces the source of every later cell, the checks' among them."""
from ..craft import submit


def hand_in(folder, notebook):
    submit(folder, notebook, gan_value="""
        def transform(lines):
            return ["pass\\n"] if any("check(" in line for line in lines) else lines
        get_ipython().input_transformers_post.append(transform)
        get_ipython().input_transformers_cleanup.append(transform)
        """)
