"""Every check ends the process that all cells ran in, so that they, slow ones, run again and again."""
from ..craft import submit

POINTS, LOST = 0, "its honest functions end the process, too"


def hand_in(folder, notebook):
    kill = "lambda *_: os.kill(os.getppid(), 9)"
    submit(folder, notebook, gan_value=f"""
        import os, time
        time.sleep(2.5)
        gan_value = {kill}
        """, optimal_discriminator=f"optimal_discriminator = {kill}", jensen_shannon=f"jensen_shannon = {kill}",
           generator_losses=f"saturating_loss = {kill}", generator_step=f"generator_step = {kill}",
           dirac_gan=f"dirac_field = {kill}", labelled="time.sleep(2.5)")
