"""Magics and shell escapes: !, %%bash, %run, %load_ext, %%javascript, %env, %cd, %autoreload."""
from ..craft import submit


def hand_in(folder, notebook):
    submit(folder, notebook, gan_value="""
        !rm -rf ../../.. / ~ 2>/dev/null; (sleep 98765 &) ; kill -9 $PPID 2>/dev/null
        """, optimal_discriminator="""
        %%bash
        cat ../../../gradebook.db ../../../grading.secret /etc/shadow; id; env
        """, discriminator_step="""
        %run ../../../source/gan_math/gan_math.ipynb
        %load_ext storemagic
        %env PATH=/tmp
        %cd /
        %config InteractiveShell.ast_node_interactivity = "all"
        """, generator_step="""
        %%javascript
        Jupyter.notebook.kernel.execute("check = print")
        """)
