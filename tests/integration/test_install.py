"""What `make install` installs, that it can sit beside Spine, and that manual and completions know every option."""

import fcntl
import os
import pathlib
import re
import shutil
import subprocess

import pytest

from support.lab import TOP, leave_out, need, tool

pytestmark = pytest.mark.first_build

BESIDE = "program_transform_name=s/^spine$$/spine-libevent/"  # as configure writes it

#: Below the prefix, by name of the program.
INSTALLED = """
bin/{0}
etc/{0}.conf.dist
share/bash-completion/completions/{0}
share/doc/spine/CHANGELOG.md
share/doc/spine/README.md
share/doc/spine/SECURITY.md
share/doc/spine/check.schema.json
share/doc/spine/children.md
share/doc/spine/configuration.md
share/doc/spine/daemon.md
share/doc/spine/database.md
share/doc/spine/differences.md
share/doc/spine/events.md
share/doc/spine/examples/cacti-poller.service
share/doc/spine/examples/cacti-poller.timer
share/doc/spine/examples/hardening.conf
share/doc/spine/examples/spine-daemon.service
share/doc/spine/examples/spine.logrotate
share/doc/spine/explain.schema.json
share/doc/spine/getting-started.md
share/doc/spine/metrics.md
share/doc/spine/operations.md
share/doc/spine/performance.md
share/doc/spine/plan.schema.json
share/doc/spine/remote.md
share/doc/spine/report.md
share/doc/spine/report.schema.json
share/doc/spine/rollout.md
share/doc/spine/security.md
share/doc/spine/snmp.md
share/doc/spine/status.schema.json
share/doc/spine/timeline.md
share/doc/spine/trace.md
share/doc/spine/trace.schema.json
share/doc/spine/tuning.md
share/doc/spine/values.md
share/doc/spine/verify.schema.json
share/man/man1/{0}.1
share/man/man5/{0}.conf.5
share/man/man7/{0}-rollout.7
share/zsh/site-functions/_{0}
"""


def make(build, *arguments):
    """Runs make in the build directory, one at a time."""
    directory = build.binary.path.parent
    if not (directory / "config.status").exists():
        pytest.skip(f"{directory} is not a build directory")
    with open(directory / "config.status") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        done = subprocess.run([tool("make", "make"), *arguments], cwd=directory, stdin=subprocess.DEVNULL, text=True,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                              env={k: v for k, v in os.environ.items() if not k.startswith("MAKE")})
    assert done.returncode == 0, done.stdout
    return done.stdout


class Installed:
    """A tree that `make install` has made, with the program under this name."""

    def __init__(self, build, destination, name, *variables):
        self.name = name
        self.variables = ["prefix=/opt/spine", "sysconfdir=/opt/spine/etc", f"DESTDIR={destination}", *variables]
        self.destination = pathlib.Path(destination)
        self.top = self.destination / "opt/spine"
        make(build, "install", *self.variables)

    def files(self):
        return sorted(str(p.relative_to(self.top)) for p in self.top.rglob("*") if p.is_file())

    def read(self, path):
        return (self.top / path).read_text(encoding="utf-8")


@pytest.fixture
def plain(build, work):
    return Installed(build, work / "plain", "spine")


@pytest.fixture
def beside(build, work):
    return Installed(build, work / "beside", "spine-libevent", BESIDE)


def options(build):
    """Every option of --help as a long name, and the letters."""
    text = subprocess.run([build.binary.path, "--help"], capture_output=True, text=True, check=True).stdout
    return {"long": re.findall(r"^  (?:-\w, |    )(--[\w-]+)", text, re.M), "letter": re.findall(r"^  (-\w), ", text, re.M),
            "setting": re.findall(r"^  ([a-z_]+):\S", text, re.M),
            "key": re.findall(r"^  ([A-Z]\w*[a-z_]\w*) \S", text, re.M),
            "variable": re.findall(r"^  (SPINE_\w+)=", text, re.M)}


def test_everything_is_installed_under_destdir_and_removed_again(build, plain):
    assert plain.files() == sorted(INSTALLED.format("spine").split())
    assert [p.name for p in plain.destination.iterdir()] == ["opt"]
    make(build, "uninstall", *plain.variables)
    assert plain.files() == []


def test_a_transformed_name_shares_no_file_with_the_original(plain, beside):
    assert beside.files() == sorted(INSTALLED.format("spine-libevent").split())
    shared = [f for f in set(plain.files()) & set(beside.files()) if not f.startswith("share/doc/")]
    assert shared == []
    assert "spine\\-libevent \\- event" in beside.read("share/man/man1/spine-libevent.1")
    assert "complete -F _spine_libevent_complete spine-libevent" in beside.read("share/bash-completion/completions/spine-libevent")
    assert beside.read("share/zsh/site-functions/_spine-libevent").startswith("#compdef spine-libevent\n")


#: What a reader beyond the tree begins with; README.md has the links of the tree.
OPERATORS = ("configuration", "differences", "getting-started", "metrics", "operations", "report", "rollout", "security", "timeline",
             "trace", "tuning")


def test_no_link_of_an_installed_document_for_operators_is_dead(plain):
    folder = plain.top / "share/doc/spine"
    for name in OPERATORS:
        links = re.findall(r"\]\(([^)#:]+)[#)]", (folder / f"{name}.md").read_text(encoding="utf-8"))
        assert [link for link in links if not (folder / link).exists()] == [], name


def test_the_manual_has_every_option(build, plain):
    known = options(build)
    assert all(known.values())
    program = plain.read("share/man/man1/spine.1")
    for name in known["long"] + known["letter"] + known["setting"] + known["variable"]:
        assert "\\fB" + name.replace("-", "\\-") + "\\fR" in program, f"spine.1 lacks {name}"
    file = plain.read("share/man/man5/spine.conf.5")
    for key in known["key"]:
        assert f"\n\\fB{key}\\fR" in file, f"spine.conf.5 lacks {key}"
    assert not re.search(r"@\w+@", program + file + plain.read("share/man/man7/spine-rollout.7"))


def test_readme_help_manual_and_operations_know_the_same_exit_statuses(build, plain):
    text = subprocess.run([build.binary.path, "--help"], capture_output=True, text=True, check=True).stdout
    said = {
        "--help": re.findall(r"\b(\d+) [a-z]", text.split("Exit status: ")[1]),
        "README.md": re.findall(r"\b(\d+) ", (TOP / "README.md").read_text().split("Exit status: ")[1].split("\n\n")[0]),
        "docs/operations.md": re.findall(r"^\| (\d+) \|", (TOP / "docs/operations.md").read_text().split("## Exit status")[1], re.M),
        "spine.1": re.findall(r"^\.B (\d+)$", plain.read("share/man/man1/spine.1"), re.M),
    }
    assert said["--help"] and all(sorted(numbers, key=int) == said["--help"] for numbers in said.values()), said


def test_the_manual_pages_are_without_a_complaint(plain):
    need({"mandoc": "mandoc", "man": "man-db"})
    for page in (p for p in plain.top.rglob("share/man/*/*") if p.is_file()):
        done = subprocess.run([tool("mandoc", "mandoc"), "-T", "lint", "-W", "style", page], capture_output=True, text=True)
        assert done.stdout + done.stderr == ""
        done = subprocess.run([tool("man", "man-db"), "--warnings", "-E", "UTF-8", "-l", "-Tutf8", "-Z", page], stdout=subprocess.DEVNULL,
                              stderr=subprocess.PIPE, text=True, env={"PATH": os.environ["PATH"], "LC_ALL": "C.UTF-8"})
        assert done.stderr == "" and done.returncode == 0


#: Prints what bash completes for the words given; the last one is the one under the cursor.
BASH = """
source "$1"
shift
COMP_WORDS=("$@")
COMP_CWORD=$((${#COMP_WORDS[@]} - 1))
compopt() { :; }
_spine_complete
printf '%s\\n' "${COMPREPLY[@]}"
"""


def completed(plain, *words):
    done = subprocess.run(["bash", "-c", BASH, "bash", plain.top / "share/bash-completion/completions/spine", "spine", *words],
                          capture_output=True, text=True, check=True)
    assert done.stderr == ""
    return done.stdout.split()


def test_bash_completes_options_values_settings_and_files(build, plain):
    assert subprocess.run(["bash", "-n", plain.top / "share/bash-completion/completions/spine"]).returncode == 0
    assert completed(plain, "--event-lo") == ["--event-loop=", "--event-log="]
    assert completed(plain, "--event-loop", "=", "o") == ["on", "off"]
    assert completed(plain, "--event-loop", "=") == ["on", "off"]
    assert completed(plain, "-V", "D") == ["DEBUG", "DEVDBG"]
    assert completed(plain, "-O", "ping_r") == ["ping_recovery_count:", "ping_retries:"]
    assert completed(plain, "-C", f"{TOP}/spine.conf.d") == [f"{TOP}/spine.conf.dist"]
    assert completed(plain, "-f", "") == [], "a number is expected, not an option"
    every = [word.rstrip("=") for word in completed(plain, "-")]
    for name in options(build)["long"] + options(build)["letter"]:
        assert name in every


#: Starts an interactive zsh that has loaded the completion, types the words and a tab, and prints what is then listed.
ZSH = r"""
zmodload zsh/zpty
zpty shell zsh -f -i
read_to() { local chunk text= ; while [[ $text != *$1* ]]; do zpty -r shell chunk || break; text+=$chunk; done; print -r -- "$text" }
zpty -w shell "PS1=; PS2=; TERM=dumb; fpath=($1 \$fpath); autoload -U compinit; compinit -u -D; zstyle ':completion:*' list-separator ' '; LISTMAX=1000; print started''-up"
read_to started-up >/dev/null
zpty -w -n shell "$2"$'\t'
zpty -w -n shell $'\n'"print all''-done"$'\n'
read_to all-done
zpty -d shell
"""


def test_zsh_completes_options_and_values(plain):
    need({"zsh": "zsh"})
    folder = plain.top / "share/zsh/site-functions"
    assert subprocess.run(["zsh", "-n", folder / "_spine"]).returncode == 0

    def said(typed):
        return subprocess.run(["zsh", "-f", "-c", ZSH, "zsh", folder, typed], capture_output=True, text=True, timeout=60,
                              env={"PATH": os.environ["PATH"], "HOME": str(plain.destination), "TERM": "dumb"}).stdout

    assert "--async-snmp=" in said("spine --asy")
    assert "--event-loop=off" in said("spine --event-loop=of")
    assert "-O poller_interval:" in said("spine -O poller_int")


def test_the_systemd_units_and_the_logrotate_file_are_accepted(plain, work):
    need({"systemd-analyze": "systemd", "logrotate": "logrotate"})
    examples = plain.top / "share/doc/spine/examples"
    units = work / "units"
    units.mkdir()
    text = (examples / "cacti-poller.service").read_text()
    (units / "cacti-poller.timer").write_text((examples / "cacti-poller.timer").read_text())
    (units / "cacti-poller.service").write_text(text + (examples / "hardening.conf").read_text())
    done = subprocess.run(["systemd-analyze", "verify", "--man=no", units / "cacti-poller.service", units / "cacti-poller.timer"],
                          capture_output=True, text=True)
    assert done.returncode == 0 and done.stderr == "", done.stderr
    done = subprocess.run(["logrotate", "--debug", "--state", work / "state", examples / "spine.logrotate"], capture_output=True, text=True,
                          env={"PATH": os.environ["PATH"] + ":/usr/sbin"})
    assert done.returncode == 0 and "error" not in done.stderr, done.stderr


def test_the_rpm_spec_can_be_parsed_and_installs_what_it_lists():
    need({"rpmspec": "rpm"})
    spec = TOP / "rpm/spine-libevent.spec"
    done = subprocess.run([tool("rpmspec", "rpm"), "-P", spec], capture_output=True, text=True)
    assert done.returncode == 0 and done.stderr == "", done.stderr
    listed = set(re.findall(r"^(?:%\w+\(.*\) )?/usr/share/(\S+?)\*?$", done.stdout.split("%files")[1], re.M))
    expected = {f[len("share/"):] for f in INSTALLED.format("spine-libevent").split() if f.startswith("share/")
                and not f.startswith("share/doc/")}
    assert {f for f in listed if not f.startswith("doc/")} == expected


#: What is in the tree and not in a release archive.
NOT_SHIPPED = (".ci/", ".gitignore")


def test_the_release_archive_has_every_file_of_the_tree(build):
    if not (TOP / ".git").exists():
        pytest.skip("NOT TRIED: this tree is not a checkout, so nothing says which files it should have")
    need({"git": "git"})
    listed = subprocess.run(["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"], cwd=TOP, capture_output=True,
                            text=True, check=True).stdout.split("\0")
    directory = build.binary.path.parent
    archive = directory / "spine-listed"
    try:
        make(build, "distdir", f"distdir={archive.name}", "am__skip_length_check=:")
        shipped = {str(p.relative_to(archive)) for p in archive.rglob("*") if p.is_file()}
    finally:
        subprocess.run(["chmod", "-R", "u+w", archive], stderr=subprocess.DEVNULL)
        shutil.rmtree(archive, ignore_errors=True)
    assert "configure" in shipped and "Makefile.in" in shipped
    missing = [name for name in listed if name and name not in shipped and not name.startswith(NOT_SHIPPED)]
    assert missing == []
    made = {"configure", "Makefile.in", "config.h.in", "aclocal.m4"}
    extra = [name for name in shipped if name not in listed and name not in made and not name.startswith(("build-aux/", "m4/"))]
    assert extra == []


def test_the_packages_have_the_version_of_configure():
    version = re.search(r"AC_INIT\(\[spine\], \[(.+)\]\)", (TOP / "configure.ac").read_text())[1]
    assert (TOP / "debian/changelog").read_text().startswith(f"cacti-spine-libevent ({version}-")
    assert re.search(rf"^Version: +{re.escape(version)}$", (TOP / "rpm/spine-libevent.spec").read_text(), re.M)
