"""What goes wrong on the staff's side, in words: the commands print it and end."""

from course_lib import lessons


class LessonError(lessons.LessonError):
    """A lesson or a class that can't be built, released, run or graded. `problems`: one line for each thing that is wrong."""

    def __init__(self, problems):
        self.problems = [problems] if isinstance(problems, str) else list(problems)
        super().__init__("\n".join(self.problems))
