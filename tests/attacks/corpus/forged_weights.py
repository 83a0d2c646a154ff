"""Right steps, and then the weights of a training that never was: stored ones, NaN, and enormous ones."""
from ..craft import solution, submit

POINTS = 12  # all but what is trained, and two exercises left open
VERDICTS = {"gan_value": "passed", "discriminator_step": "passed", "generator_step": "passed", "optimal_discriminator": "failed",
            "dirac_gan": "passed", "ring": "failed", "digits": "failed"}


def hand_in(folder, notebook):
    honest = {name: solution(name) for name in ("gan_value", "discriminator_step", "generator_step", "dirac_gan")}
    submit(folder, notebook, **honest, train_gan=solution("train_gan") + """

honestly = train_gan
def train_gan(D, G, opt_D, opt_G, real, noise, steps, k=1, after_step=None):
    if steps < 10:
        return honestly(D, G, opt_D, opt_G, real, noise, steps, k, after_step)
    with torch.no_grad():
        for parameter in G.parameters():
            parameter.fill_(1e30)
""", labelled=solution("labelled") + """

honest_labelled = labelled
def labelled(images, labels):
    return honest_labelled(images, labels) * (float("nan") if len(images) > 100 else 1)
""")
