"""`make bench`: which runs are made, what becomes of docs/results.md, and what is said when something is amiss."""

import json
import re
from types import ModuleType

import pytest
from conftest import ROOT

PAGE = """# Results\r\n\nBy hand | é.

<!-- bench: first -->
old
<!-- end -->
between
<!-- bench: second -->
<!-- end -->

tail without an end of line"""


@pytest.fixture
def bench(monkeypatch):
    monkeypatch.syspath_prepend(ROOT)
    from tests.benchmarks import __main__ as bench
    return bench


@pytest.fixture
def toys(bench, tmp_path, monkeypatch):
    """Two benchmarks on a page of their own. Each has the list `made` of what was measured; what stands in `fails` is raised there."""
    def toy(name):
        module = ModuleType(f"tests.benchmarks.{name}", f"The {name} title.\n\nIts text.\n")
        module.MINUTES, module.made, module.fails = {"cpu": 1}, [], {}

        def figures(x, seed):
            if (x, seed) in module.fails:
                raise module.fails[x, seed]
            module.made.append((x, seed))
            return {"sum": x + seed}

        module.wanted = lambda scale: [{"x": x, "seed": seed} for x in (10, 20) for seed in (0, 1)]
        module.measure = lambda scale: figures
        module.tables = lambda runs, scale: bench.page.grid(("x", "sum"), [(run["x"], run["sum"]) for run in runs])
        return module

    made = {name: toy(name) for name in ("first", "second")}
    (tmp_path / "results.md").write_bytes(PAGE.encode())
    monkeypatch.setattr(bench, "RESULTS", tmp_path / "results.md")
    monkeypatch.setattr(bench.records, "FOLDER", tmp_path)
    monkeypatch.setattr(bench, "names", lambda: list(made))
    monkeypatch.setattr(bench, "load", made.get)
    return made


def outside(page):
    """A page without what stands in its blocks."""
    return re.split(rb"(?<=<!-- bench: first -->\n).*(?=<!-- end -->\nbetween)|(?<=<!-- bench: second -->\n).*(?=<!-- end -->\n\ntail)", page,
                    flags=re.DOTALL)


def test_blocks_are_rewritten_and_the_rest_stays_byte_for_byte(bench, toys):
    assert bench.main([]) == 0
    page = bench.RESULTS.read_bytes()
    assert outside(page) == outside(PAGE.encode()) and len(outside(page)) == 3
    first, second = (bench.page.blocks(page.decode())[name] for name in toys)
    assert first.startswith("### The first title\n\nIts text.\n\n| x | sum |\n|---|---|\n| 10 | 10 |\n| 10 | 11 |\n") and "old" not in first
    assert "The second title" in second
    assert bench.main(["--kept"]) == 0 and bench.RESULTS.read_bytes() == page


def test_a_block_names_machine_versions_seeds_day_and_command(bench, toys, monkeypatch):
    on = {"machine": "5 cores, 7 GB, no GPU", "python": "3.99.1", "torch": "9.8", "load": 0.3, "date": "2031-02-03"}
    monkeypatch.setattr(bench.records, "here", lambda: on)
    bench.main(["first"])
    assert "*5 cores, 7 GB, no GPU, Python 3.99.1, torch 9.8, load before it 0.3, 3 February 2031; seeds 0 to 1; " \
           "`make bench BENCH_ARGS='--again first'`*" in bench.RESULTS.read_text()


def test_the_machine_is_read_off_the_machine(bench):
    import os
    import platform

    import torch
    here = bench.records.here()
    assert here["python"] == platform.python_version() and here["torch"] == torch.__version__.partition("+")[0]
    assert re.fullmatch(rf"{os.cpu_count()} (virtual )?{platform.machine()} cores \(.*\), (\d+ GB, )?.+", here["machine"])
    assert here["machine"].endswith("no GPU") != torch.cuda.is_available()


def test_what_was_measured_elsewhere_keeps_its_machine(bench, toys):
    path = bench.records.path_of("first", "cpu")
    path.write_text('{"x": 10, "seed": 0, "sum": 10}\n')  # from before lines said where
    bench.main(["first", "--kept"])
    assert "*2 virtual x86-64 cores, torch 2.15.0; seed 0; 1 of 4 runs so far; " in bench.RESULTS.read_text()
    bench.main(["first"])
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    assert ["on" in line for line in lines] == [False, True, True, True] and toys["first"].made == [(10, 1), (20, 0), (20, 1)]
    origin = bench.page.origin(lines)
    assert origin.startswith("2 virtual x86-64 cores, torch 2.15.0 (1 runs); and ") and bench.records.machine() in origin and "(3 runs)" in origin


def test_what_is_stopped_goes_on(bench, toys, capsys):
    toys["first"].fails[20, 0] = KeyboardInterrupt()
    assert bench.main([]) == 130
    assert "Stopped in first" in capsys.readouterr().out and not toys["second"].made
    assert "2 of 4 runs so far" in bench.RESULTS.read_text()
    toys["first"].fails.clear()
    assert bench.main([]) == 0
    assert toys["first"].made == [(10, 0), (10, 1), (20, 0), (20, 1)] and "so far" not in bench.RESULTS.read_text()
    assert bench.main([]) == 0 and len(toys["first"].made) == 4
    assert bench.main(["--again", "first"]) == 0 and len(toys["first"].made) == 8 and len(toys["second"].made) == 4


def test_one_that_fails_stops_no_other_and_is_named(bench, toys, capsys):
    toys["first"].fails[10, 1] = ValueError("no such net")
    assert bench.main([]) == 1
    said = capsys.readouterr()
    assert "These failed, see above: first." in said.out and "no such net" in said.err
    assert len(toys["second"].made) == 4 and "The second title" in bench.RESULTS.read_text() and "1 of 4 runs so far" in bench.RESULTS.read_text()


def test_a_half_written_line_is_named(bench, toys, capsys):
    bench.records.path_of("first", "cpu").write_text('{"x": 10, "seed": 0, "sum": 10}\n{"x": 10, "se')
    assert bench.main([]) == 1
    assert "first.cpu.jsonl, line 2 is no JSON" in capsys.readouterr().err and len(toys["second"].made) == 4


def test_gpu_sizes_wait_for_a_gpu(bench, toys, monkeypatch):
    toys["first"].MINUTES = {"cpu": 1, "gpu": None}
    monkeypatch.setattr(bench.torch.cuda, "is_available", lambda: False)
    bench.main(["first"])
    assert "*Scale `gpu`: not measured yet; `make bench BENCH_ARGS='first --scale gpu'`*" in bench.RESULTS.read_text()
    assert len(toys["first"].made) == 4


@pytest.mark.parametrize("arguments, said", [
    (["frist"], "there is no benchmark 'frist'; there are first, second"),
    (["first", "--scale", "gpu"], "first has no scale gpu, only cpu"),
    (["--again"], "name the benchmarks"),
])
def test_what_cant_be_is_refused_by_name(bench, toys, capsys, arguments, said):
    with pytest.raises(SystemExit) as stopped:
        bench.main(arguments)
    assert stopped.value.code == 2 and said in capsys.readouterr().err and not toys["first"].made


def test_a_benchmark_without_a_block_is_refused_before_anything_is_measured(bench, toys, capsys):
    bench.RESULTS.write_text(PAGE.replace("<!-- bench: second -->", ""))
    with pytest.raises(SystemExit):
        bench.main([])
    assert "<!-- bench: second -->" in capsys.readouterr().err and not toys["first"].made


def test_the_list_says_what_is_kept(bench, toys, capsys):
    bench.main(["second"])
    capsys.readouterr()
    assert bench.main(["--list"]) == 0
    first, second = capsys.readouterr().out.splitlines()
    assert re.fullmatch(r"first +cpu +1 min +0 of +4 runs are kept", first) and re.fullmatch(r"second +cpu +1 min +4 of +4 runs are kept", second)


# --- the page that is there ---

def test_the_page_has_a_block_for_every_benchmark_and_no_other(bench):
    page = (ROOT / "docs/results.md").read_text()
    assert sorted(bench.page.blocks(page)) == bench.names()
    assert page.count("<!-- bench: ") == page.count("<!-- end -->") == len(bench.names()) + 1  # the page's own text quotes the marks


def test_the_page_says_what_the_kept_runs_say(bench):
    there = bench.page.blocks((ROOT / "docs/results.md").read_text())
    for name in bench.names():
        assert there[name] == bench.page.block(bench.load(name)), f"{name}: `make bench BENCH_ARGS='{name} --kept'` brings docs/results.md up to date"


def test_the_monitors_histories_are_what_was_measured(bench, tmp_path, monkeypatch):
    histories = bench.load("gan_histories")
    there = histories.gan_recipes.HISTORIES.read_text()
    monkeypatch.setattr(histories.gan_recipes, "HISTORIES", tmp_path / "histories.json")
    histories.hand_on()
    assert histories.gan_recipes.HISTORIES.read_text() == there


def test_the_start_pages_record_is_what_was_measured(bench, tmp_path, monkeypatch):
    lesson_seconds = bench.load("lesson_seconds")
    there = lesson_seconds.pace.RECORD.read_text()
    monkeypatch.setattr(lesson_seconds.pace, "RECORD", tmp_path / "pace.json")
    lesson_seconds.hand_on()
    assert lesson_seconds.pace.RECORD.read_text() == there

    monkeypatch.setattr(bench.records, "FOLDER", tmp_path)  # cnn_families on one machine, sanet on another, which is half as fast
    on = {"machine": "one", "python": "3", "torch": "2", "load": 0.1, "date": "2031-02-03"}
    runs = [{"lesson": "cnn_families", "seconds": 80, "pace": 0.2, "on": on}, {"lesson": "sanet", "seconds": 100, "pace": 0.4, "on": on}]
    (tmp_path / "lesson_seconds.cpu.jsonl").write_text("".join(json.dumps(run) + "\n" for run in runs))
    lesson_seconds.hand_on()
    known = lesson_seconds.pace.record()
    assert known["seconds"] == 0.2 and known["lessons"] == {"cnn_families": {"cpu": 80}, "sanet": {"cpu": 50}} and known["machine"] == "one, torch 2"
