//! The names of signals.

/// The name of a signal on this platform, if it has one.
pub(super) fn name(number: i32) -> Option<&'static str> {
    if !cfg!(unix) {
        return None;
    }
    let index = usize::try_from(number).ok()?.checked_sub(1)?;
    let names = if cfg!(any(target_os = "linux", target_os = "android")) { LINUX } else { BSD };
    names.get(index).copied()
}

/// From 1, as on all architectures but MIPS, PA-RISC, Alpha and SPARC.
const LINUX: &[&str] = &[
    "SIGHUP",
    "SIGINT",
    "SIGQUIT",
    "SIGILL",
    "SIGTRAP",
    "SIGABRT",
    "SIGBUS",
    "SIGFPE",
    "SIGKILL",
    "SIGUSR1",
    "SIGSEGV",
    "SIGUSR2",
    "SIGPIPE",
    "SIGALRM",
    "SIGTERM",
    "SIGSTKFLT",
    "SIGCHLD",
    "SIGCONT",
    "SIGSTOP",
    "SIGTSTP",
    "SIGTTIN",
    "SIGTTOU",
    "SIGURG",
    "SIGXCPU",
    "SIGXFSZ",
    "SIGVTALRM",
    "SIGPROF",
    "SIGWINCH",
    "SIGIO",
    "SIGPWR",
    "SIGSYS",
];

/// From 1, as on macOS and the BSDs.
const BSD: &[&str] = &[
    "SIGHUP",
    "SIGINT",
    "SIGQUIT",
    "SIGILL",
    "SIGTRAP",
    "SIGABRT",
    "SIGEMT",
    "SIGFPE",
    "SIGKILL",
    "SIGBUS",
    "SIGSEGV",
    "SIGSYS",
    "SIGPIPE",
    "SIGALRM",
    "SIGTERM",
    "SIGURG",
    "SIGSTOP",
    "SIGTSTP",
    "SIGCONT",
    "SIGCHLD",
    "SIGTTIN",
    "SIGTTOU",
    "SIGIO",
    "SIGXCPU",
    "SIGXFSZ",
    "SIGVTALRM",
    "SIGPROF",
    "SIGWINCH",
    "SIGINFO",
    "SIGUSR1",
    "SIGUSR2",
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_without_a_name_have_none() {
        for number in [i32::MIN, -1, 0, 32, 64, i32::MAX] {
            assert_eq!(name(number), None);
        }
        assert_eq!((LINUX.len(), BSD.len()), (31, 31));
    }
}
