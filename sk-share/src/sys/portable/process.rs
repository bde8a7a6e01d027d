//! Processes as things that end: a handle of one, and one wait for the end of any of many.

use std::io::{self, PipeReader, PipeWriter, Read as _, Write as _};
use std::os::fd::{AsFd as _, OwnedFd};
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec};
use rustix::io::Errno;
use rustix::process::{Pid, PidfdFlags};

use crate::sync::{AtomicBool, Ordering};

/// So many bits of the time of a birth are looked at: a number that is used again has the same ones
/// if that was after a multiple of 62 days, to the hundredth of a second.
pub(crate) const BIRTH_BITS: u32 = 29;

/// Another process, which cannot be mistaken for one that has its number later.
pub(crate) struct Process {
    file: OwnedFd,
}

impl Process {
    /// The process of this number that was born then. `None` if it is gone.
    ///
    /// # Errors
    /// It cannot be told: there are no descriptors left, or the system does not say.
    pub(crate) fn find(pid: u32, birth: u32) -> io::Result<Option<Process>> {
        let Some(number) = i32::try_from(pid).ok().and_then(Pid::from_raw) else {
            return Ok(None);
        };
        let file = match rustix::process::pidfd_open(number, PidfdFlags::empty()) {
            Ok(file) => file,
            // No such process, or the number of a thread that is not the first of one.
            Err(Errno::SRCH | Errno::INVAL | Errno::NOENT) => return Ok(None),
            Err(error) => return Err(error.into()),
        };
        let process = Process { file };
        // Asked after it was opened: if the number has gone on to another since, that was born later.
        if birth_of(pid)? != Some(birth) || process.is_gone() {
            return Ok(None);
        }
        Ok(Some(process))
    }

    /// Whether all of its threads have ended; it need not have been waited for.
    pub(crate) fn is_gone(&self) -> bool {
        let mut polls = [PollFd::new(&self.file, PollFlags::IN)];
        let now = Timespec { tv_sec: 0, tv_nsec: 0 };
        loop {
            match rustix::event::poll(&mut polls, Some(&now)) {
                Err(Errno::INTR) => {}
                result => return result.is_ok_and(|count| count > 0),
            }
        }
    }
}

/// When the process of this number began, in a unit of the system's, the lowest bits of it. `None` if
/// there is none.
pub(crate) fn birth_of(pid: u32) -> io::Result<Option<u32>> {
    let gone = |error: &io::Error| {
        error.kind() == io::ErrorKind::NotFound || Errno::from_io_error(error) == Some(Errno::SRCH)
    };
    let stat = match std::fs::read(format!("/proc/{pid}/stat")) {
        Ok(stat) => stat,
        Err(error) if gone(&error) => return Ok(None),
        Err(error) => return Err(error),
    };
    // The name may hold anything; the last parenthesis ends it. The time is the 20th word from there.
    let words = stat.rsplit(|byte| *byte == b')').next().unwrap_or_default();
    let mut words = words.split(u8::is_ascii_whitespace).filter(|word| !word.is_empty());
    let birth: Option<u64> = words.nth(19).and_then(|word| str::from_utf8(word).ok()?.parse().ok());
    let birth = birth.and_then(|birth| u32::try_from(birth & ((1 << BIRTH_BITS) - 1)).ok());
    birth.map(Some).ok_or_else(|| io::ErrorKind::InvalidData.into())
}

/// What ends the wait of the thread that watches.
pub(crate) struct Bell {
    reader: PipeReader,
    writer: PipeWriter,
    /// A byte lies in the pipe, or is about to: so there is never more than two, and writing never blocks.
    is_rung: AtomicBool,
}

impl Bell {
    pub(crate) fn new() -> io::Result<Bell> {
        let (reader, writer) = io::pipe()?;
        Ok(Bell { reader, writer, is_rung: AtomicBool::new(false) })
    }

    /// Whoever waits wakes, and sees what this thread did before.
    pub(crate) fn ring(&self) {
        // Meets the exchange in `answer`: either that sees this one and all before it, or a byte is written.
        if !self.is_rung.swap(true, Ordering::AcqRel) {
            // The other end is ours and open.
            let _ = (&self.writer).write_all(&[0]);
        }
    }

    /// Takes the byte out. Whoever rings behind this is heard of at the next wait.
    fn answer(&self) {
        let _ = (&self.reader).read(&mut [0]);
        self.is_rung.swap(false, Ordering::AcqRel);
    }
}

/// Sleeps until the bell rings, one of the processes is gone, or so long.
pub(crate) fn wait_for_any<'p>(
    bell: &Bell,
    processes: impl IntoIterator<Item = &'p Process>,
    limit: Option<Duration>,
) -> io::Result<()> {
    let limit = limit.and_then(|limit| Timespec::try_from(limit).ok());
    let rings = [PollFd::from_borrowed_fd(bell.reader.as_fd(), PollFlags::IN)];
    let ends = processes.into_iter().map(|process| PollFd::new(&process.file, PollFlags::IN));
    let mut polls: Vec<PollFd<'_>> = rings.into_iter().chain(ends).collect();
    match rustix::event::poll(&mut polls, limit.as_ref()) {
        Ok(_) => {}
        Err(Errno::INTR) => return Ok(()),
        Err(error) => return Err(error.into()),
    }
    if polls.first().is_some_and(|poll| !poll.revents().is_empty()) {
        bell.answer();
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::*;

    #[test]
    fn a_process_is_told_from_another_of_its_number() {
        let pid = std::process::id();
        let birth = birth_of(pid).unwrap().unwrap();
        assert!(Process::find(pid, birth).unwrap().is_some_and(|process| !process.is_gone()));
        assert!(Process::find(pid, birth ^ 1).unwrap().is_none());
        for pid in [0, u32::MAX, 0x3fff_ffff] {
            assert!(Process::find(pid, birth).unwrap().is_none());
        }
    }

    #[test]
    fn every_ring_is_heard() {
        let bell = Bell::new().unwrap();
        let none: [&Process; 0] = [];
        let short = Duration::from_millis(2);
        for _ in 0..3 {
            bell.ring();
            bell.ring();
            wait_for_any(&bell, none, None).unwrap();
            // And once.
            let begin = Instant::now();
            wait_for_any(&bell, none, Some(short)).unwrap();
            assert!(begin.elapsed() >= short);
        }
    }
}
