"""HTML, scripts, MathJax commands, attachments and links with code stand in answers, headings and other text."""
from ..craft import write

EVIL = """<script>document.title = "pwned"</script> <img src=x onerror=alert(1)> <iframe srcdoc="<script>alert(1)</script>">
# <svg onload=alert(1)>
[a](javascript:alert(1)) ![b](attachment:evil.svg) <a href="data:text/html,<script>alert(1)</script>">c</a> {{ 7 * 7 }} {% raw %}
$\\href{javascript:alert(1)}{x}$ $\\require{html}\\style{position:fixed}{y}$ `<b onclick=alert(1)>` &lt;script&gt; </div></body>
"""


def hand_in(folder, notebook):
    for cell in notebook.cells:
        if cell.cell_type == "markdown":
            cell.source += EVIL
            cell.attachments = {"evil.svg": {"image/svg+xml": "<svg xmlns='http://www.w3.org/2000/svg' onload='alert(1)'/>"}}
    write(folder, notebook)
