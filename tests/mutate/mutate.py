"""Changes the conditions of src/model, one at a time and in several ways, and sees whether a module test notices.

    make check-mutation                         everything; about 40 minutes on two idle cores
    make check-mutation MUTATE="avail batch"    these modules only
    make check-mutation MUTATE="--list value"   what would be changed, without running anything
    make check-mutation MUTATE="--sample 8"     every eighth change
    make check-mutation MUTATE=--self-test      proves that it is red without the tests

Works on a copy in a temporary directory: the model and base layers become one shared library, each module test (and the one
of drivers/recording, which reads what model/record writes, and needs jansson) is linked with it once, and a mutant costs one
compilation and the tests. A mutant that no test notices is a survivor. Those in tests/mutate/survivors.txt are known, with
the reason; any other survivor, and any line there that no longer survives or exists, makes this fail; so do less than LEAST per cent of killed mutants.
"""

import argparse
import concurrent.futures
import os
import pathlib
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
import time

TOP = pathlib.Path(__file__).resolve().parents[2]
KNOWN = TOP / "tests/mutate/survivors.txt"
FLAGS = ["-std=gnu17", "-O0", "-w", "-fPIC", "-D_GNU_SOURCE", "-DHAVE_CONFIG_H"]
#: A test of another layer, and what it needs beside the library.
READER = {"tests/unit/drivers/test_recording.c": ["src/drivers/recording.c", "-ljansson"]}
#: A mutant that hangs is noticed: a test may take TEST_SECONDS, and TIMES times what it takes without a change.
TEST_SECONDS, TIMES = 20, 10
#: Per cent of the mutants that the tests must notice.
LEAST = 85

#: What is looked for, and what takes its place.
SWAPS = [(r" == ", " != "), (r" != ", " == "), (r" <= ", " < "), (r" >= ", " > "), (r" < ", " <= "), (r" > ", " >= "),
         (r" &&(?= |$)", " ||"), (r" \|\|(?= |$)", " &&"), (r"(?<=[ (])!(?=[\w(*])", ""), (r"return true;", "return false;"),
         (r"return false;", "return true;"), (r"\+\+", "--")]
#: A value taken for a condition: a name, a member or a call; `operands_of` finds where one ends.
NAME = re.compile(r"\*?[A-Za-z_]\w*(?:(?:->|\.)\w+)*")
SKIPPED = re.compile(r"^\s*(#|\*|/\*|//|for \(size_t \w+ = 0;)|CHECK\(|#include|_Static_assert")


def closing(code, at):
    """Where the bracket that opens at `at` is closed; None if not on this line."""
    depth = 0
    for i in range(at, len(code)):
        depth += (code[i] in "([") - (code[i] in ")]")
        if depth == 0:
            return i
    return None


def operands_of(code):
    """Yields (column, text) of each bare operand of a line: all that a condition, `&&`, `||` or `?` tests is this value."""
    for found in NAME.finditer(code):
        start, end = found.span()
        while end < len(code) and code[end] in "([":
            end = closing(code, end)
            if end is None:
                break
            end += 1
            end = re.compile(r"(?:(?:->|\.)\w+)*").match(code, end).end()
        if end is None:
            continue  # goes on in the next line
        before, after = code[:start], code[end:]
        opens = re.search(r"(?:\b(?:if|while) \(+|&& \(*|\|\| \(*)$", before)
        closes = re.match(r"\)* (?:&&|\|\|)(?: |$)| \? ", after)
        if re.search(r"[\w.>!*&+-]$|(?:[-+*/%&|<>]|[<>=!]=) $|\w\($|, $", before):
            continue  # a part of something bigger
        if closes or (opens and re.match(r"\)|;", after)):
            yield start, code[start:end]


def mutants_of(path):
    """Yields (line number, column, before, after) for one source file."""
    comment = False
    for number, line in enumerate(path.read_text().splitlines(), 1):
        code = re.sub(r'"(\\.|[^"\\])*"', lambda m: "\x00" * len(m[0]), line)
        code = re.sub(r"'(\\.|[^'\\])+'", lambda m: "\x00" * len(m[0]), code)
        if comment or SKIPPED.search(code):
            comment = (comment or "/*" in code) and "*/" not in code
            continue
        code = re.sub(r"/\*.*?\*/", lambda m: "\x00" * len(m[0]), code)
        if "/*" in code:
            comment = True
            code = code.split("/*")[0]
        for pattern, after in SWAPS:
            for found in re.finditer(pattern, code):
                yield number, found.start(), found[0], after
        for column, text in operands_of(code):
            if text not in ("true", "false"):
                yield number, column, line[column:column + len(text)], f"!({line[column:column + len(text)]})"


def run(command, **options):
    return subprocess.run(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, **options)


class Bench:
    """A copy of the tree with a shared library and tests that are linked with it."""

    def __init__(self, work, config, compiler, blind=False):
        """blind: without tests, to see that this is noticed."""
        self.work, self.compiler = work, shlex.split(compiler)
        for part in ("src/base", "src/model", "include", "tests/unit/model", "tests/support", "docs"):
            shutil.copytree(TOP / part, work / part)
        for part in [*READER, *(p for parts in READER.values() for p in parts if not p.startswith("-"))]:
            (work / part).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(TOP / part, work / part)
        shutil.copy(config, work / "config.h")
        self.flags = FLAGS + [f"-I{work}", f"-I{work / 'include'}"]
        self.objects = {}
        for source in sorted(work.glob("src/base/*.c")) + sorted(work.glob("src/model/*.c")):
            self.objects[source] = source.with_suffix(".o")
            self.compile(source, check=True)
        self.link(check=True)
        self.tests = []
        for source in [] if blind else sorted(work.glob("tests/unit/*/test_*.c")):
            program = source.with_suffix("")
            more = [p if p.startswith("-") else work / p for p in READER.get(str(source.relative_to(work)), [])]
            subprocess.run([*self.compiler, *self.flags, source, *more, "-o", program, f"-L{work}", "-lmodel", "-lcmocka", "-lm",
                            f"-Wl,-rpath,{work}"], check=True)
            self.tests.append(program)
        self.seconds = {}  # what each test takes without a change

    def compile(self, source, check=False):
        return run([*self.compiler, *self.flags, "-c", source, "-o", self.objects[source]], check=check).returncode == 0

    def link(self, check=False):
        return run([*self.compiler, "-shared", "-o", self.work / "libmodel.so", *self.objects.values(), "-lm", "-lpthread"],
                   check=check).returncode == 0

    def fails(self, test, limit=None):
        environment = dict(os.environ, TEST_SRCDIR=str(self.work / "tests"))
        try:
            return run([test], env=environment, timeout=limit, cwd=self.work).returncode != 0
        except subprocess.TimeoutExpired:
            return True

    def measure(self):
        """Runs each test without a change; returns the name of one that fails, or None."""
        for test in self.tests:
            before = time.monotonic()
            if self.fails(test):
                return test.name
            self.seconds[test] = time.monotonic() - before
        return None

    def notices(self):
        """Whether a test fails."""
        return any(self.fails(test, TEST_SECONDS + TIMES * self.seconds[test]) for test in self.tests)

    def try_mutant(self, module, number, column, before, after):
        """"killed", "survived" or "invalid" (it does not compile)."""
        source = self.work / "src/model" / f"{module}.c"
        original, kept = source.read_text(), self.work / "kept.o"
        shutil.copy2(self.objects[source], kept)
        lines = original.splitlines(keepends=True)
        line = lines[number - 1]
        lines[number - 1] = line[:column] + after + line[column + len(before):]
        source.write_text("".join(lines))
        try:
            if not self.compile(source) or not self.link():
                return "invalid"
            return "killed" if self.notices() else "survived"
        finally:
            source.write_text(original)
            shutil.copy2(kept, self.objects[source])

    def own_tests_first(self, module):
        words = module.split("_")
        self.tests.sort(key=lambda t: (words[-1] not in t.name, words[0] not in t.name, self.seconds[t]))


def try_module(module, config, compiler, sample=1, blind=False):
    found = []
    with tempfile.TemporaryDirectory(prefix="spine-mutate.") as work:
        bench = Bench(pathlib.Path(work) / "tree", config, compiler, blind)
        failed = bench.measure()
        if failed:
            sys.exit(f"mutate: {failed} fails on the unchanged {module}")
        bench.own_tests_first(module)
        source = TOP / "src/model" / f"{module}.c"
        text = source.read_text().splitlines()
        for number, column, before, after in list(mutants_of(source))[::sample]:
            outcome = bench.try_mutant(module, number, column, before, after)
            found.append((outcome, f"{module}.c: {text[number - 1].strip()} [{before.strip()} at {column} -> {after.strip()}]"))
    return module, found


def judge(total, unexpected):
    """0 or 1: the exit status."""
    valid = total["killed"] + total["survived"]
    score = 100 * total["killed"] / max(valid, 1)
    print(f"{valid} mutants, {total['killed']} killed ({score:.1f} %, at least {LEAST} % wanted), "
          f"{total['survived']} survived, {unexpected} unexpected", flush=True)
    return 1 if unexpected or score < LEAST else 0


def self_test(config, compiler):
    """Without tests every change survives; the threshold is one, too."""
    _, found = try_module("octets", config, compiler, sample=5, blind=True)
    outcomes = [outcome for outcome, _ in found]
    assert outcomes and set(outcomes) <= {"survived", "invalid"}, outcomes
    assert judge({"killed": 0, "survived": len(outcomes), "invalid": 0}, 0) == 1
    assert judge({"killed": 84, "survived": 16, "invalid": 0}, 0) == 1
    assert judge({"killed": 86, "survived": 14, "invalid": 0}, 0) == 0
    assert judge({"killed": 100, "survived": 0, "invalid": 0}, 1) == 1
    print("mutate: self-test passed")
    return 0


def known_survivors():
    """{line: reason}; a reason stands after " ## "."""
    lines = KNOWN.read_text().splitlines() if KNOWN.exists() else []
    return dict(line.split(" ## ", 1) for line in lines if line and not line.startswith("#"))


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("modules", nargs="*", help="file stems of src/model; none: all")
    parser.add_argument("--list", action="store_true")
    parser.add_argument("--sample", type=int, default=1, metavar="N", help="every Nth change only")
    parser.add_argument("--self-test", action="store_true")
    parser.add_argument("--jobs", type=int, default=os.cpu_count())
    parser.add_argument("--config", type=pathlib.Path, default=pathlib.Path("config.h"), help="config.h of a build")
    a = parser.parse_args()
    modules = a.modules or sorted(p.stem for p in (TOP / "src/model").glob("*.c"))
    compiler = os.environ.get("CC", "cc")
    if a.self_test:
        return self_test(a.config, compiler)
    if a.list:
        for module in modules:
            for number, column, before, after in mutants_of(TOP / "src/model" / f"{module}.c"):
                print(f"{module}.c:{number}:{column}:{before}->{after}")
        return 0
    known, seen, failed, total = known_survivors(), set(), 0, {"killed": 0, "survived": 0, "invalid": 0}
    with concurrent.futures.ProcessPoolExecutor(a.jobs) as pool:
        jobs = [pool.submit(try_module, m, a.config, compiler, a.sample) for m in modules]
        for job in concurrent.futures.as_completed(jobs):
            module, found = job.result()
            count = {kind: sum(o == kind for o, _ in found) for kind in total}
            print(f"{module:18} " + ", ".join(f"{n} {kind}" for kind, n in count.items()), flush=True)
            for kind in total:
                total[kind] += count[kind]
            for outcome, text in found:
                if outcome == "survived" and text not in known:
                    failed += 1
                    print(f"SURVIVED {text}", flush=True)
                seen |= {text} if outcome == "survived" else set()
    for text in known:
        if a.sample == 1 and text.split(".c:")[0] in modules and text not in seen:
            failed += 1
            print(f"NOT A SURVIVOR ANY LONGER {text}")
    return judge(total, failed)


if __name__ == "__main__":
    sys.exit(main())
