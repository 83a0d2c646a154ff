"""An AST transformer takes calls of `check`, assertions and raises out of every later cell."""
from ..craft import submit


def hand_in(folder, notebook):
    submit(folder, notebook, gan_value="""
        import ast
        class Tame(ast.NodeTransformer):
            visit_Assert = visit_Raise = lambda self, node: ast.copy_location(ast.Pass(), node)
            def visit_Expr(self, node):
                return ast.copy_location(ast.Pass(), node) if "check(" in ast.unparse(node) else node
        get_ipython().ast_transformers.append(Tame())
        """)
