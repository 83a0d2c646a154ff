"""JSON nested a hundred thousand deep, numbers of a million digits, and names that stand there twice."""
from ..craft import CHECKS, NOTEBOOK

POINTS, LOST = 0, "it isn't a notebook"
VERDICTS = dict.fromkeys(CHECKS, "not graded")


def hand_in(folder, notebook):
    folder.mkdir(parents=True)
    (folder / NOTEBOOK).write_text('{"cells": [], "nbformat": ' + "9" * 10**6 + ', "cells": ' + "[" * 10**5 + "]" * 10**5 + "}")
