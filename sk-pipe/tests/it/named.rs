//! Listening and connecting by name, as far as one process can tell.

use std::io::{Read as _, Write as _};
use std::os::linux::net::SocketAddrExt as _;
use std::os::unix::net::{SocketAddr, UnixListener, UnixStream};
use std::path::PathBuf;
use std::sync::Barrier;
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use futures::StreamExt as _;
use futures::executor::block_on;
use sk_pipe::{Connector, Listener, Nothing, Raw, builder, connect, connect_with, serve_once};

use super::{SOON, WATCHDOG};

/// A name that nobody else has.
fn name(what: &str) -> String {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    format!("sk-pipe-test-{}-{what}-{number}", std::process::id())
}

/// A path that is gone when this is.
struct Place(PathBuf);

impl Place {
    fn new(what: &str) -> Place {
        Place(std::env::temp_dir().join(name(what)))
    }

    fn lock(&self) -> PathBuf {
        self.0.with_file_name(format!("{}.lock", self.0.file_name().unwrap().display()))
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
        let _ = std::fs::remove_file(self.lock());
    }
}

/// A socket that says nothing by itself.
fn call(name: &str) -> UnixStream {
    UnixStream::connect_addr(&SocketAddr::from_abstract_name(name).unwrap()).unwrap()
}

/// Rows: PIPE-35
#[test]
fn a_listener_takes_one_after_the_other() {
    let name = name("many");
    let mut listener = Listener::<u32, String>::bind(&name).unwrap();
    let calls: Vec<_> = (0..10)
        .map(|number: u32| {
            let connecting = connect::<String, u32>(&name).timeout(WATCHDOG).background();
            thread::spawn(move || {
                let mut point = connecting.wait().unwrap();
                point.send(&format!("number {number}")).wait().unwrap();
                assert_eq!(point.recv().timeout(WATCHDOG).wait().unwrap(), number);
            })
        })
        .collect();
    let mut seen = Vec::new();
    for _ in 0..10 {
        let mut anchor = listener.accept_timeout(WATCHDOG).unwrap();
        let said = anchor.recv_timeout(WATCHDOG).unwrap();
        let number: u32 = said.strip_prefix("number ").unwrap().parse().unwrap();
        anchor.send(&number).wait().unwrap();
        seen.push(number);
        assert!(anchor.recv().timeout(WATCHDOG).wait().unwrap_err().is_closed());
    }
    calls.into_iter().for_each(|call| call.join().unwrap());
    seen.sort_unstable();
    assert_eq!(seen, (0..10).collect::<Vec<_>>());
}

/// Rows: PIPE-35
#[test]
fn who_serves_once_gives_the_name_up() {
    for place in [name("once"), Place::new("once").0.to_str().unwrap().to_owned()] {
        for _ in 0..3 {
            let serving = serve_once::<u8, u8>(&place);
            assert!(Listener::<u8, u8>::bind(&place).unwrap_err().is_name_in_use());
            // Who is not let in is passed over.
            let other = connect::<u16, u16>(&place).timeout(WATCHDOG).background();
            let connecting = connect::<u8, u8>(&place).timeout(WATCHDOG).background();
            let mut anchor = serving.timeout(WATCHDOG).wait().unwrap();
            assert!(connect::<u8, u8>(&place).wait().unwrap_err().is_not_found());
            anchor.send(&7).wait().unwrap();
            assert_eq!(connecting.wait().unwrap().recv().wait().unwrap(), 7);
            assert!(other.wait().is_err());
        }
        // Given up too where nobody has connected.
        let error = serve_once::<u8, u8>(&place).timeout(SOON).wait().unwrap_err();
        assert!(error.is_timeout(), "{error}");
        drop(Listener::<u8, u8>::bind(&place).unwrap());
    }
}

/// Rows: PIPE-35, PIPE-31
#[test]
fn tasks_accept_and_connect() {
    let name = name("tasks");
    let mut listener = Listener::<u32, Nothing>::bind(&name).unwrap();
    block_on(async {
        let began = Instant::now();
        assert!(listener.accept().timeout(SOON).await.unwrap_err().is_timeout());
        assert!(connect::<Nothing, u32>(&name).timeout(SOON).await.unwrap_err().is_timeout());
        assert!(began.elapsed() >= SOON * 2);
        // The one that gave up is passed over.
        for _ in 0..3 {
            let there = async { connect::<Nothing, u32>(&name).timeout(WATCHDOG).await };
            let here = async { listener.accept().timeout(WATCHDOG).await };
            let (anchor, point) = futures::join!(here, there);
            anchor.unwrap().send(&7).await.unwrap();
            assert_eq!(point.unwrap().recv().await.unwrap(), 7);
        }
        let (anchor, point) = futures::join!(listener.next(), connect::<Nothing, u32>(&name));
        anchor.unwrap().unwrap().send(&8).await.unwrap();
        assert_eq!(point.unwrap().recv().await.unwrap(), 8);
        // Dropped while it waits, it keeps nobody from the name.
        let waiting = listener.accept();
        assert!(futures::future::select(waiting, std::future::ready(())).await.is_right());
    });
    drop(listener);
    Listener::<u32, Nothing>::bind(&name).unwrap();
}

trait IsRight {
    fn is_right(&self) -> bool;
}

impl<A, B> IsRight for futures::future::Either<A, B> {
    fn is_right(&self) -> bool {
        matches!(self, futures::future::Either::Right(_))
    }
}

/// Rows: PIPE-35
#[test]
fn what_can_be_no_name_is_an_error() {
    let long = "n".repeat(108);
    let cases = [
        ("", "\"\" is no name to listen at: it is empty"),
        ("a\0b", "\"a\\0b\" is no name to listen at: there is a zero byte in it"),
        (&long, &format!("the name \"{long}\" has 108 bytes, and the limit is 107")),
    ];
    for (name, text) in cases {
        let bound = Listener::<(), ()>::bind(name).unwrap_err();
        let connected = connect::<(), ()>(name).wait().unwrap_err();
        for error in [bound, connected] {
            assert!(error.is_bad_name());
            assert_eq!(error.to_string(), text);
        }
    }
    let most = format!("{:n<107}", name("most"));
    drop(Listener::<(), ()>::bind(most).unwrap());
    let nowhere = Listener::<(), ()>::bind("/nowhere/at/all").unwrap_err();
    assert!(nowhere.to_string().contains("\"/nowhere/at/all\""), "{nowhere}");
    assert!(Listener::<(), ()>::builder(name("key")).key(b"").bind().is_err());
    assert!(connect_with::<(), ()>(name("key"), b"").wait().unwrap_err().is_endpoint());
}

/// Rows: PIPE-35
#[test]
fn a_name_has_one_listener() {
    let place = Place::new("one");
    for name in [name("one"), place.0.to_str().unwrap().to_owned()] {
        for _ in 0..20 {
            let barrier = Barrier::new(8);
            let bound = thread::scope(|scope| {
                let bind = || {
                    barrier.wait();
                    Listener::<u8, u8>::bind(&name)
                };
                let all: Vec<_> = (0..8).map(|_| scope.spawn(bind)).collect();
                all.into_iter().map(|it| it.join().unwrap()).collect::<Vec<_>>()
            });
            assert_eq!(bound.iter().filter(|it| it.is_ok()).count(), 1);
            for error in bound.iter().filter_map(|it| it.as_ref().err()) {
                assert!(error.is_name_in_use(), "{error}");
                assert!(error.to_string().contains(&name), "{error}");
            }
        }
    }
    assert!(!place.0.exists() && !place.lock().exists());
}

/// Rows: PIPE-35
#[test]
fn a_stale_socket_file_is_taken_over_and_nothing_else() {
    let place = Place::new("stale");
    // The standard library leaves the file.
    drop(UnixListener::bind(&place.0).unwrap());
    assert!(connect::<u8, u8>(&place.0).wait().unwrap_err().is_not_found());
    let listener = Listener::<u8, u8>::bind(&place.0).unwrap();
    assert!(Listener::<u8, u8>::bind(&place.0).unwrap_err().is_name_in_use());
    drop(listener);
    assert!(!place.0.exists() && !place.lock().exists());
    // A listener of another program.
    let other = UnixListener::bind(&place.0).unwrap();
    assert!(Listener::<u8, u8>::bind(&place.0).unwrap_err().is_name_in_use());
    assert!(place.0.exists() && !place.lock().exists());
    drop(other);
    std::fs::remove_file(&place.0).unwrap();
    std::fs::write(&place.0, "precious").unwrap();
    let error = Listener::<u8, u8>::bind(&place.0).unwrap_err();
    assert!(error.to_string().contains("no socket"), "{error}");
    assert_eq!(std::fs::read_to_string(&place.0).unwrap(), "precious");
}

/// Rows: PIPE-36
#[test]
fn only_who_has_the_key_is_let_in() {
    let name = name("key");
    let bind = |key: Option<&[u8]>| {
        let builder = Listener::<u8, u8>::builder(&name);
        match key {
            Some(key) => builder.key(key).bind().unwrap(),
            None => builder.bind().unwrap(),
        }
    };
    let call = |key: Option<&[u8]>| {
        let connector = Connector::new(&name);
        let connector = match key {
            Some(key) => connector.key(key),
            None => connector,
        };
        connector.connect::<u8, u8>().timeout(WATCHDOG).background()
    };
    let keys: [Option<&[u8]>; 3] = [None, Some(b"secret"), Some(b"Secret")];
    for asked in keys {
        let mut listener = bind(asked);
        for given in keys {
            let connecting = call(given);
            let accepted = listener.accept_timeout(WATCHDOG);
            let connected = connecting.wait();
            if asked == given {
                accepted.unwrap().send(&7).wait().unwrap();
                assert_eq!(connected.unwrap().recv().wait().unwrap(), 7);
                continue;
            }
            for error in [accepted.unwrap_err(), connected.unwrap_err()] {
                assert!(error.is_denied(), "{asked:?} {given:?}: {error}");
                assert_eq!(error.process(), Some(std::process::id()));
                let texts = [format!("{error}"), format!("{error:?}")];
                assert!(texts.iter().all(|text| !text.to_lowercase().contains("secret")));
            }
        }
        assert!(!format!("{listener:?}").to_lowercase().contains("secret"));
    }
}

/// Rows: PIPE-35
#[test]
fn other_types_are_an_error_that_names_all_of_them() {
    let name = name("types");
    let mut listener = Listener::<u32, Vec<i8>>::bind(&name).unwrap();
    let connecting = connect::<u32, Vec<i8>>(&name).timeout(WATCHDOG).background();
    let here = listener.accept_timeout(WATCHDOG).unwrap_err();
    let there = connecting.wait().unwrap_err();
    assert!(here.is_other_type() && there.is_other_type());
    let vector = std::any::type_name::<Vec<i8>>();
    let sends = format!("sends u32 and receives {vector}");
    let text = format!("this side {sends}, and the other one {sends}");
    assert_eq!(here.to_string(), text);
    assert_eq!(there.to_string(), text);
    let connecting = connect::<Raw, u32>(&name).timeout(WATCHDOG).background();
    assert!(listener.accept_timeout(WATCHDOG).unwrap_err().is_other_type());
    assert!(connecting.wait().unwrap_err().is_other_type());
}

/// Rows: PIPE-35
#[test]
fn the_pipes_are_as_they_were_asked_for() {
    let name = name("pipes");
    let pipes = builder().capacity(4096).overflow(sk_pipe::Overflow::Fail);
    let mut listener = Listener::<Vec<u8>, ()>::builder(&name).pipes(pipes).bind().unwrap();
    let connecting = connect::<(), Vec<u8>>(&name).timeout(WATCHDOG).background();
    let mut anchor = listener.accept_timeout(WATCHDOG).unwrap();
    let _point = connecting.wait().unwrap();
    anchor.send(&vec![0; 3000]).wait().unwrap();
    assert!(anchor.send(&vec![0; 3000]).wait().unwrap_err().is_full());
    drop(listener);
    let mut listener = Listener::<(), ()>::builder(&name).capacity(5).bind().unwrap();
    let connecting = connect::<(), ()>(&name).timeout(WATCHDOG).background();
    assert!(listener.accept_timeout(WATCHDOG).unwrap_err().is_limit());
    let error = connecting.wait().unwrap_err();
    assert!(error.to_string().contains("could not make a pipe"), "{error}");
}

/// A whole pipe between the two, to see that the listener is well.
fn still_takes(listener: &mut Listener<u8, u8>, name: &str) {
    let connecting = connect::<u8, u8>(name).timeout(WATCHDOG).background();
    let mut anchor = listener.accept_timeout(WATCHDOG).unwrap();
    anchor.send(&7).wait().unwrap();
    assert_eq!(connecting.wait().unwrap().recv().wait().unwrap(), 7);
}

/// Rows: PIPE-36
#[test]
fn what_is_no_handshake_is_refused() {
    let name = name("garbage");
    let mut listener = Listener::<u8, u8>::builder(&name).bind().unwrap();
    let mut heads: Vec<Vec<u8>> = vec![b"GET / HTTP/1.1\r\n\r\n".to_vec(), vec![0; 100]];
    let head = |version: u32, length: u32, body: &[u8]| {
        [b"sk-pipe\n", &version.to_le_bytes()[..], &length.to_le_bytes(), body].concat()
    };
    heads.push(head(2, 0, &[]));
    heads.push(head(1, u32::MAX, &[]));
    heads.push(head(1, 8193, &[]));
    heads.push(head(1, 0, &[]));
    heads.push(head(1, 8, &[0xFF; 8]));
    // Attached, before there was anything.
    heads.push(head(1, 1, &[4]));
    for bytes in heads {
        let mut stream = call(&name);
        stream.write_all(&bytes).unwrap();
        let error = listener.accept_timeout(WATCHDOG).unwrap_err();
        assert!(error.is_foreign(), "{bytes:?}: {error}");
        // It is closed to that one.
        let _ = stream.read_to_end(&mut Vec::new());
        still_takes(&mut listener, &name);
    }
    // The same the other way.
    drop(listener);
    let address = SocketAddr::from_abstract_name(&name).unwrap();
    let other = UnixListener::bind_addr(&address).unwrap();
    for bytes in [&b"220 welcome\r\n"[..], &[0; 5000], &head(9, 0, &[]), &head(1, 1, &[4])] {
        let connecting = connect::<u8, u8>(&name).timeout(WATCHDOG).background();
        let (mut stream, _) = other.accept().unwrap();
        stream.write_all(bytes).unwrap();
        let error = connecting.wait().unwrap_err();
        assert!(error.is_foreign(), "{bytes:?}: {error}");
    }
}

/// Rows: PIPE-36
#[test]
fn who_is_silent_keeps_nobody_waiting() {
    let name = name("silent");
    let builder = Listener::<u8, u8>::builder(&name).key(b"key");
    let mut listener = builder.patience(SOON * 5).bind().unwrap();
    // More than there are handshakes at a time; some say half a word.
    let mut silent: Vec<_> = (0..70).map(|_| call(&name)).collect();
    silent.iter_mut().step_by(2).for_each(|stream| stream.write_all(b"sk-pi").unwrap());
    let connecting = connect_with::<u8, u8>(&name, b"key").timeout(WATCHDOG).background();
    let mut anchor = listener.accept_timeout(WATCHDOG).unwrap();
    anchor.send(&7).wait().unwrap();
    assert_eq!(connecting.wait().unwrap().recv().wait().unwrap(), 7);
    // In the first place the listener had no room for it.
    assert!(listener.accept().timeout(SOON * 10).wait().unwrap_err().is_timeout());
    // Those are told, and gone.
    for mut stream in silent {
        stream.set_read_timeout(Some(WATCHDOG)).unwrap();
        let mut told = Vec::new();
        let _ = stream.read_to_end(&mut told);
        assert!(told.starts_with(b"sk-pipe\n"), "{told:?}");
    }
}

/// Rows: PIPE-36
#[test]
fn a_few_silent_ones_are_not_even_waited_for() {
    let name = name("few");
    let mut listener =
        Listener::<u8, u8>::builder(&name).patience(Duration::from_secs(3600)).bind().unwrap();
    let _silent: Vec<_> = (0..63).map(|_| call(&name)).collect();
    still_takes(&mut listener, &name);
    still_takes(&mut listener, &name);
}

/// Between a connector and a listener: passes so many bytes on in each direction, and hangs up.
fn pass_on(name: &str, to: &str, there: usize, back: usize) -> thread::JoinHandle<()> {
    let address = SocketAddr::from_abstract_name(name).unwrap();
    let listener = UnixListener::bind_addr(&address).unwrap();
    let to = to.to_owned();
    thread::spawn(move || {
        let (one, _) = listener.accept().unwrap();
        let two = call(&to);
        let copy = |from: &UnixStream, to: &UnixStream, bytes: usize| {
            let (mut from, mut to) = (from.try_clone().unwrap(), to.try_clone().unwrap());
            move || {
                let mut byte = [0];
                let mut left = bytes;
                while left > 0 && from.read(&mut byte).is_ok_and(|count| count == 1) {
                    if to.write_all(&byte).is_err() {
                        break;
                    }
                    left -= 1;
                }
                let _ = from.shutdown(std::net::Shutdown::Both);
                let _ = to.shutdown(std::net::Shutdown::Both);
            }
        };
        let first = thread::spawn(copy(&one, &two, there));
        let second = thread::spawn(copy(&two, &one, back));
        first.join().unwrap();
        second.join().unwrap();
    })
}

/// Rows: PIPE-35, PIPE-36
#[test]
fn who_hangs_up_at_any_byte_is_an_error_there_and_nothing_here() {
    let (name, between) = (name("whole"), name("between"));
    let mut listener = Listener::<u8, u8>::builder(&name).key(b"key").bind().unwrap();
    // Nothing but what is passed on is cut: all of it would be without its descriptors.
    for cut in (0..260).step_by(13) {
        for (there, back) in [(cut, usize::MAX), (usize::MAX, cut)] {
            let passing = pass_on(&between, &name, there, back);
            let connecting =
                connect_with::<u8, u8>(&between, b"key").timeout(WATCHDOG).background();
            let connecting = thread::spawn(move || connecting.wait().map(|_| ()).unwrap_err());
            while !connecting.is_finished() {
                let accepted = listener.accept().timeout(SOON / 10).wait();
                assert!(accepted.unwrap_err().is_timeout());
            }
            let error = connecting.join().unwrap();
            assert!(!error.is_timeout(), "{there} {back}: {error}");
            passing.join().unwrap();
        }
    }
    let connecting = connect_with::<u8, u8>(&name, b"key").timeout(WATCHDOG).background();
    let mut anchor = listener.accept_timeout(WATCHDOG).unwrap();
    anchor.send(&7).wait().unwrap();
    assert_eq!(connecting.wait().unwrap().recv().wait().unwrap(), 7);
}

/// Rows: PIPE-35
#[test]
fn a_handshake_goes_on_in_the_next_wait() {
    let name = name("later");
    let mut listener = Listener::<u8, u8>::builder(&name).key(b"key").bind().unwrap();
    let connecting = connect_with::<u8, u8>(&name, b"key").timeout(WATCHDOG).background();
    let began = Instant::now();
    let mut anchor = loop {
        match listener.accept().timeout(Duration::ZERO).wait() {
            Ok(anchor) => break anchor,
            Err(error) => assert!(error.is_timeout() && began.elapsed() < WATCHDOG, "{error}"),
        }
        thread::yield_now();
    };
    anchor.send(&7).wait().unwrap();
    assert_eq!(connecting.wait().unwrap().recv().wait().unwrap(), 7);
}
