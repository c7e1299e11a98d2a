"""The package uses nothing unguarded that macOS or Windows lacks. These systems are not tested themselves."""

import ast
import re
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[1] / "layercli"
POSIX_MODULES = {"fcntl", "grp", "pwd", "posix", "pty", "resource", "syslog", "termios", "tty"}
POSIX_NAMES = {
    "os": set(
        re.findall(
            r"\w+",
            """
            O_CLOEXEC O_DIRECTORY O_DSYNC O_NOCTTY O_NOFOLLOW O_NONBLOCK O_PATH O_SYNC O_TMPFILE WNOHANG chown chroot ctermid
            fchdir fchmod fchown fork forkpty getegid geteuid getgid getgroups getloadavg getpgid getpgrp getpriority getsid
            getuid initgroups killpg lchown lockf memfd_create mkfifo mknod nice openpty pathconf pipe2 posix_fadvise
            posix_fallocate posix_spawn pread preadv pwrite pwritev sched_getaffinity sched_setaffinity sendfile setegid
            seteuid setgid setpgid setpriority setsid setuid statvfs sync sysconf tcgetpgrp uname wait wait3 wait4 waitid
            """,
        )
    ),
    "signal": set(
        re.findall(
            r"\w+",
            """
            ITIMER_REAL SIGALRM SIGBUS SIGCHLD SIGCONT SIGHUP SIGKILL SIGPIPE SIGPROF SIGQUIT SIGSTOP SIGTSTP SIGTTIN SIGTTOU
            SIGUSR1 SIGUSR2 SIGWINCH alarm pause pthread_kill pthread_sigmask setitimer siginterrupt sigpending sigtimedwait
            sigwait sigwaitinfo
            """,
        )
    ),
    "select": {"devpoll", "epoll", "kqueue", "poll"},
    "socket": {"AF_UNIX", "SO_REUSEPORT"},
    "time": {"clock_gettime", "clock_settime", "tzset"},
}
POSIX_ARGUMENTS = {"dir_fd", "src_dir_fd", "dst_dir_fd", "preexec_fn", "pass_fds"}
POSIX_PATHS = re.compile(r"/(proc|dev|sys|tmp|etc|var|usr|bin)(/|$)")
GUARDS = re.compile(
    r"hasattr\((os|signal|socket|select), |getattr\((os|signal|socket|select), |except \(?(ImportError|AttributeError)"
    r"|, AttributeError|sys\.platform|os\.name"
)
"""What a function contains that uses a name only where it exists."""
EXCEPTIONS = {
    "data/spool.py": {"os.preadv", "os.pwrite"},  # only if there is a file, which the constructor makes
    "processes/limited_child.py": {
        "os.fork",
        "os.sysconf",
        "signal.SIGKILL",
        "/proc/",
    },  # only where _can_fork is true
    "processes/supervisor.py": {"preexec_fn"},  # None on other systems than Linux
    "runs/environment.py": {"/proc/cpuinfo"},  # a missing file is allowed
    "distribution/cluster.py": {"/dev"},  # a pattern that matches nothing elsewhere
    "workflows/batch_size_attempt.py": {"/proc/self/oom_score_adj"},  # a missing file is allowed
    "workflows/preflight.py": {
        "/proc/meminfo",
        "/sys/fs/cgroup",
        "/sys/fs/cgroup/memory",
        "/sys/fs/cgroup/memory.max",
        "/sys/fs/cgroup/memory/memory.limit_in_bytes",
    },  # likewise
}


def find_unguarded_uses(source):
    """Return the line and the name of each use that a system can lack, in functions without a guard."""
    nodes, lines = [*ast.walk(ast.parse(source))], source.splitlines()
    functions = [node for node in nodes if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef))]
    for node in nodes:
        name = find_posix_name(node)
        if name is None:
            continue
        around = [each for each in functions if each.lineno <= node.lineno <= each.end_lineno]
        if not any(GUARDS.search("\n".join(lines[each.lineno - 1 : each.end_lineno])) for each in around):
            yield node.lineno, name


def find_posix_name(node):
    """Return the name that a node uses and that Windows lacks, or None."""
    match node:
        case ast.Attribute(value=ast.Name(id=module), attr=name) if name in POSIX_NAMES.get(module, ()):
            return f"{module}.{name}"
        case ast.Import(names=names) if found := {each.name for each in names} & POSIX_MODULES:
            return found.pop()
        case ast.ImportFrom(module=module) if module in POSIX_MODULES:
            return module
        case ast.ImportFrom(module=module, names=names) if module in POSIX_NAMES:
            return next((f"{module}.{each.name}" for each in names if each.name in POSIX_NAMES[module]), None)
        case ast.keyword(arg=name) if name in POSIX_ARGUMENTS:
            return name
        case ast.Constant(value=str(text)) if " " not in text and POSIX_PATHS.match(text):
            return text
    return None


FOLDERS = sorted({path.relative_to(PACKAGE).parts[0] for path in PACKAGE.rglob("*.py")})


def list_files(name):
    path = PACKAGE / name
    return [path] if path.is_file() else [*path.rglob("*.py")]


@pytest.mark.parametrize("folder", FOLDERS)
def test_no_unguarded_use_of_posix(folder):
    for path in list_files(folder):
        accepted = EXCEPTIONS.get(path.relative_to(PACKAGE).as_posix(), set())
        found = [*find_unguarded_uses(path.read_text(encoding="utf-8"))]
        assert [(str(path), line, name) for line, name in found if name not in accepted] == []
        assert accepted <= {name for _, name in found}


@pytest.mark.parametrize(
    "code",
    [
        "import fcntl",
        "from signal import SIGKILL",
        "def f():\n    os.kill(1, signal.SIGKILL)",
        "def f():\n    return os.fork()",
        "FLAGS = os.O_RDONLY | os.O_NOFOLLOW",
        "def f():\n    return Path('/proc/meminfo').read_text()",
        "def f():\n    subprocess.Popen(['a'], preexec_fn=g)",
        "def f():\n    os.open('a', 0, dir_fd=3)",
    ],
)
def test_unguarded_use_is_found(code):
    assert len([*find_unguarded_uses(code)]) == 1


@pytest.mark.parametrize(
    "code",
    [
        "def f():\n    try:\n        import fcntl\n    except ImportError:\n        return",
        "def f():\n    return os.sched_getaffinity(0) if hasattr(os, 'sched_getaffinity') else 1",
        "FLAGS = getattr(os, 'O_NOFOLLOW', 0)",
    ],
)
def test_guarded_use_is_accepted(code):
    assert [*find_unguarded_uses(code)] == []
