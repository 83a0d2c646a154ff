"""Stand-ins take the places of torch, course_lib.gan and others in sys.modules, for probes that import them."""
from ..craft import submit


def hand_in(folder, notebook):
    submit(folder, notebook, labelled="""
        import sys, types
        class Standin(types.ModuleType):
            def __getattr__(self, name):
                return lambda *_, **__: (torch.zeros(()),) * 4
        for name in ("course_lib.gan", "course_lib.data", "course_lib.checks", "course_lib.checks.gan_math", "safetensors"):
            sys.modules[name] = Standin(name)
        discriminator_step = generator_step = train_gan = lambda *_, **__: 0.0
        """)
