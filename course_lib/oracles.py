"""Libraries that hold what the exercises ask for. None of them is there in grading."""

import ast

ORACLES = ("torchvision", "d2l", "scipy", "sklearn", "skimage", "torchmetrics", "pytorch_msssim", "timm", "torch_fidelity", "motmetrics")
ORACLE_CLASS = "DistributedSampler"  # the same within torch


def imported(source):
    """The first oracle that the code `source` imports, as it names it, or None; what can't be parsed imports none."""
    try:
        nodes = list(ast.walk(ast.parse(source)))
    except (SyntaxError, ValueError):
        return None
    for node in nodes:
        if isinstance(node, ast.Import):
            names = [each.name for each in node.names]
        elif isinstance(node, ast.ImportFrom):
            names = [f"{node.module}.{each.name}" for each in node.names]
        elif isinstance(node, ast.Attribute):
            names = [ast.unparse(node)]
        else:
            continue
        for name in names:
            if name.split(".")[0] in ORACLES and not isinstance(node, ast.Attribute) or name.endswith(f".{ORACLE_CLASS}"):
                return name
    return None
