//! System calls, one folder a platform: what they return is an `io::Result` or an owned handle, and
//! there is no policy here.

mod linux;

pub(crate) use linux::*;
