"""Calling a learner's functions through the codec: every way to be wrong has its own sentence, and nothing gets out."""

import pytest
import torch

from course_lib import expect, wire
from course_lib.student import Student, local_student, replayed_student
from course_lib.verdict import Failed


def student(source):
    namespace = {}
    exec(source, namespace)
    return local_student(namespace)


def sentence(function, *args, **kwargs):
    with pytest.raises(Failed) as caught:
        function(*args, **kwargs)
    return f"{caught.value.hint} {caught.value.detail}"


X = torch.tensor([1.0, 2.0, 3.0], dtype=torch.float64)


@pytest.mark.parametrize("source, words", [
    ("", ["`f` isn't defined yet"]),
    ("def f(x): raise NotImplementedError()", ["`f` isn't written yet"]),
    ("class Net:\n  def __init__(self): raise NotImplementedError\ndef f(x): return Net()", ["`Net.__init__` isn't written yet"]),
    ("def f(x):\n  def half(): return 1 / 0\n  return half()", ["line 2 of `half`"]),
    ("def f(): return 1", ["f()", "1 arguments", "Keep the name"]),
    ("def f(x): return x / 0 if False else 1 / 0", ["ZeroDivisionError", "line 1 of `f`"]),
    ("def f(x):\n  x += 1\n  return x", ["changes its argument number 1"]),
    ("def f(x): return object()", ["holds a object"]),
    ("def f(x): return {1: 2}", ["keys"]),
    ("import sys\ndef f(x): raise ValueError('\\x1b[31mred')", ["ValueError"]),
    ("f = 3", ["`f` is of the type int and not a function"]),
    ("import sys\ndef f(x): sys.exit()", ["SystemExit"]),
    ("class Mute(Exception):\n  def __str__(self): raise ValueError\ndef f(x): raise Mute", ["Mute", "can't be shown"]),
    ("def f(x): return x.expand(2**33, 3)", ["more than may cross"]),
    ("def f(x): return x.long().mean()", ["`f` raised NotImplementedError", "dtype"]),
    ("def f(x): return f(x)", ["RecursionError"])])
def test_each_mistake_has_its_sentence(source, words):
    said = sentence(student(source).f, X)
    assert all(word in said for word in words), said


def test_what_an_argument_holds_may_not_be_changed_either():
    named = "changes its argument number 1"
    assert named in sentence(student("def f(xs): xs[0].mul_(2)").f, [X.clone()])
    assert named in sentence(student("def f(xs): return xs.pop()").f, [1, 2])
    assert named in sentence(student("def f(x): x.unsqueeze_(0)").f, X.clone())
    assert named in sentence(student("def f(xs): xs.append(object())").f, [1])
    assert student("def f(x, n): return 2 * x").f(torch.tensor([1.0, float("nan")]), float("nan"))[0] == 2  # NaN differs from itself, and is unchanged


def test_right_calls_return_values_and_fill_the_log():
    asked = student("def f(x): return [x * 2, {'a': 1.5}]")
    assert asked.f(X)[0].tolist() == [2, 4, 6] and asked.log[0][1] == {"a": 1.5}
    assert X.tolist() == [1, 2, 3]


def test_of_calls_that_count_as_one_the_last_alone_is_held():
    asked = student("def f(x): return 2 * x")
    with asked.one_call():
        for number in range(3):
            asked.f(X + number)
        assert len(asked._within) == 1
    assert len(asked.log) == 1 and asked.log[0].tolist() == (2 * (X + 2)).tolist()


def test_gradients_are_taken_beside_the_submission():
    assert student("def f(x): return (x**3).sum()").grad("f", X).tolist() == pytest.approx((3 * X**2).tolist())
    assert "No gradient flows" in sentence(student("import torch\ndef f(x): return torch.tensor(x.tolist())").grad, "f", X)
    assert "No gradient flows" in sentence(student("import torch\ndef f(x): return torch.ones(1, requires_grad=True)").grad, "f", X)
    assert "No gradient flows" in sentence(student("def f(x): return x.sum().item()").grad, "f", X)
    assert "tensor was expected" in sentence(student("def f(x): return [x]").grad, "f", X)


def helper(x):
    return x + 1


def probe(names, x):
    return names.f(helper(x))


def test_probes_run_from_their_source_with_what_they_use():
    assert student("def f(x): return x * 2").run(probe, X, using=[helper]).tolist() == [4, 6, 8]
    assert "isn't defined" in sentence(student("").run, probe, X, using=[helper])
    assert "NameError" in sentence(student("def f(x): return x").run, probe, X)


def made_or_none(names):
    return names.made("net")


def test_only_the_notebook_lends_what_was_made():
    from course_lib.worker import Worker
    namespace = {"net": 7}
    assert Student(Worker(namespace, made=lambda *_: True).handle).run(made_or_none) == 7
    assert Student(Worker(namespace).handle).run(made_or_none) is None


@pytest.mark.parametrize("answer", [b"", b"junk" * 10, wire.encode([1]), wire.encode({"error": 3}), wire.encode({}),
                                    wire.encode({"valu": 1})])
def test_an_answer_off_the_protocol_is_a_verdict_not_a_crash(answer):
    assert "answer" in sentence(Student(lambda frame: answer).f, X)


def test_an_always_equal_object_is_never_compared():
    sly = "class Sly:\n  def __eq__(self, other): return True\n  def __array__(self): return 1\ndef f(x): return Sly()"
    assert "Sly" in sentence(expect.agree, student(sly), student("def f(x): return x"), "f", X)


def test_a_replayed_student_answers_in_order():
    replayed = replayed_student([1.0, X])
    assert replayed.anything() == 1.0 and torch.equal(replayed.run(probe, X), X)
