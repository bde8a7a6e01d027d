//! The sockets that a thread waits for. An island of unsafe code without policy.
//!
//! 1. A poller that uses a descriptor after it was closed might tell of another file of that number. Ends leave the
//!    poller before they close theirs ([`reactor::forget`](crate::reactor::forget)), and what it tells is only that a task is
//!    to look.
#![expect(unsafe_code, reason = "a descriptor has to outlive its place in the poller")]

use std::io;
use std::os::fd::{AsFd as _, AsRawFd as _, OwnedFd};

use polling::{Event, PollMode, Poller};

use crate::sync::Arc;

fn mode(poller: &Poller) -> PollMode {
    if poller.supports_edge() { PollMode::Edge } else { PollMode::Oneshot }
}

/// Has the poller tell of this socket.
pub(crate) fn watch(poller: &Poller, socket: &Arc<OwnedFd>, event: Event) -> io::Result<()> {
    // SAFETY: 1.
    unsafe { poller.add_with_mode(socket.as_raw_fd(), event, mode(poller)) }
}

/// Has it go on to do so after it has told.
pub(crate) fn watch_on(poller: &Poller, socket: &Arc<OwnedFd>, event: Event) {
    if mode(poller) == PollMode::Oneshot {
        // If it cannot, the look of every five seconds has to do.
        let _ = poller.modify_with_mode(socket.as_fd(), event, PollMode::Oneshot);
    }
}
