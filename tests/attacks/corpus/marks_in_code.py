"""nbgrader's own marks for solutions, hidden tests and generated tests stand in the code."""
from ..craft import submit


def hand_in(folder, notebook):
    submit(folder, notebook, gan_value="""
        ### BEGIN HIDDEN TESTS
        check = lambda name: None
        ### END HIDDEN TESTS
        ### BEGIN SOLUTION
        ### BEGIN SOLUTION
        ### AUTOTEST check
        ### HASHED AUTOTEST check
        def gan_value(*_):
            # YOUR CODE HERE
            return 0.0
        ### BEGIN MARK SCHEME
        """)
