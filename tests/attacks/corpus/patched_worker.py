"""course_lib.worker is patched to answer that everything is as it should be."""
from ..craft import submit


def hand_in(folder, notebook):
    submit(folder, notebook, gan_value="""
        from course_lib import wire
        from course_lib.worker import Names, Worker
        handle = Worker.handle
        def obliging(self, frame):
            request = wire.decode(frame)
            if request.get("name") in ("jensen_shannon", "saturating_loss", "non_saturating_loss"):
                return handle(self, frame)
            return wire.encode({"value": None, "verdict": "passed", "points": 100, "changed": []})
        Worker.handle = obliging
        """)
