//! One who has connected and has no pipe yet, as its listener sees it.

use std::os::fd::OwnedFd;
use std::time::{Duration, Instant};

use sk_cereal::Session;
use sk_share::memory::Descriptors;

use super::channel::{Channel, Read};
use super::handshake::{Hello, Key, Message, Prover, Refusal};
use super::name;
use crate::error::{Error, Reason};
use crate::sync::Arc;
use crate::{Anchor, Builder};

/// Whom a listener takes, and what it makes for them.
pub(super) struct Terms {
    pub(super) key: Option<Key>,
    pub(super) any_user: bool,
    pub(super) patience: Duration,
    pub(super) pipes: Builder,
}

/// One in the middle of a handshake.
pub(super) struct Peer<S, R> {
    channel: Channel,
    who: name::Peer,
    /// For what it is to say next.
    deadline: Instant,
    stage: Stage<S, R>,
}

enum Stage<S, R> {
    /// It is to say hello.
    Called,
    /// It is to prove that it has the key. Both hellos.
    Asked([Vec<u8>; 2]),
    /// It is to say that it has the point.
    Handed(Box<Anchor<S, R>>),
}

/// What became of a peer.
pub(super) enum Step<S, R> {
    /// It is to say something.
    Waits(Peer<S, R>),
    /// It is gone, or has said nothing for too long.
    Gone,
    Accepted(Box<Anchor<S, R>>),
    /// It is none whom this listener takes.
    Refused(Error),
    /// There is no pipe to be had.
    Failed(Error),
}

impl<S, R> Peer<S, R> {
    /// One who has just connected.
    pub(super) fn begin(socket: OwnedFd, who: name::Peer, terms: &Terms) -> Step<S, R> {
        let channel = Channel::new(socket, false);
        let deadline = later(terms.patience);
        let peer = Peer { channel, who, deadline, stage: Stage::Called };
        if terms.any_user || who.is_this_user() {
            return Step::Waits(peer);
        }
        let Some(user) = who.user else { return Step::Gone };
        let what = format!("a process of user {user} has connected, and only this user is let in");
        peer.refuse(Refusal::User, Error::new(Reason::Denied { what, process: who.process }))
    }

    pub(super) fn socket(&self) -> &Arc<OwnedFd> {
        self.channel.socket()
    }

    pub(super) fn deadline(&self) -> Instant {
        self.deadline
    }

    /// Goes on as far as it can without waiting.
    pub(super) fn step(mut self, terms: &Terms) -> Step<S, R> {
        loop {
            let (message, bytes) = match self.channel.read() {
                Ok(Read::Message(message, bytes)) => (message, bytes),
                Ok(Read::Nothing) if Instant::now() < self.deadline => return Step::Waits(self),
                Ok(Read::Nothing) => {
                    self.tell(Refusal::Slow);
                    return Step::Gone;
                }
                Ok(Read::Over) => return Step::Gone,
                Err(error) => return Step::Refused(error),
            };
            self = match self.hear(message, bytes, terms) {
                Step::Waits(peer) => peer,
                done => return done,
            };
            self.deadline = later(terms.patience);
        }
    }

    fn hear(self, message: Message, bytes: Vec<u8>, terms: &Terms) -> Step<S, R> {
        let Peer { channel, who, deadline, stage } = self;
        let peer = |stage| Peer { channel, who, deadline, stage };
        match (stage, message) {
            (Stage::Called, Message::Hello(hello)) => {
                peer(Stage::Called).greet(&hello, bytes, terms)
            }
            (Stage::Asked(hellos), Message::Proof(proof)) => {
                peer(Stage::Called).check(&hellos, &proof, terms)
            }
            (Stage::Handed(anchor), Message::Attached) => Step::Accepted(anchor),
            _ => Step::Refused(Error::foreign("a message out of turn", bytes.len() as u64)),
        }
    }

    fn greet(self, theirs: &Hello, bytes: Vec<u8>, terms: &Terms) -> Step<S, R> {
        let said = Hello::new::<S, R>(terms.key.is_some()).and_then(|hello| {
            Ok((self.channel.send(&Message::Hello(hello.clone()), &[])?.1, hello))
        });
        let (mine, hello) = match said {
            Ok(said) => said,
            Err(error) => return self.refuse(Refusal::Trouble, error),
        };
        if let Err(error) = hello.check(theirs, &self.name(), self.who.process) {
            // It finds out by itself, from this side's hello.
            return Step::Refused(error);
        }
        match terms.key {
            Some(_) => Step::Waits(Peer { stage: Stage::Asked([bytes, mine]), ..self }),
            None => self.hand_over(None, terms),
        }
    }

    fn check(self, hellos: &[Vec<u8>; 2], proof: &[u8; 32], terms: &Terms) -> Step<S, R> {
        let Some(key) = &terms.key else { return self.hand_over(None, terms) };
        let hellos = [&hellos[0][..], &hellos[1][..]];
        match key.is_proof(proof, Prover::Connector, hellos) {
            Ok(true) => {}
            Ok(false) => {
                let what = format!("{} has another key", self.name());
                let error = Error::new(Reason::Denied { what, process: self.who.process });
                return self.refuse(Refusal::Key, error);
            }
            Err(error) => return self.refuse(Refusal::Trouble, error),
        }
        match key.prove(Prover::Listener, hellos) {
            Ok(proof) => self.hand_over(Some(proof), terms),
            Err(error) => self.refuse(Refusal::Trouble, error),
        }
    }

    /// Makes the pipe, of which this process keeps the anchor.
    fn hand_over(self, proof: Option<[u8; 32]>, terms: &Terms) -> Step<S, R> {
        let handed = terms.pipes.pair::<S, R>().and_then(|(anchor, point)| {
            let session = Session::hand_over();
            let point = session.enter(|| point.give())?;
            let descriptors: Descriptors = session.take();
            let message = Message::Handed { proof, point };
            Ok((self.channel.send(&message, &descriptors.as_fds())?.0, anchor))
        });
        match handed {
            Ok((true, anchor)) => {
                Step::Waits(Peer { stage: Stage::Handed(Box::new(anchor)), ..self })
            }
            Ok((false, _)) => Step::Gone,
            Err(error) => {
                self.tell(Refusal::Trouble);
                Step::Failed(error)
            }
        }
    }

    fn name(&self) -> String {
        match self.who.process {
            Some(process) => format!("process {process}"),
            None => "the peer".to_owned(),
        }
    }

    fn refuse(self, why: Refusal, error: Error) -> Step<S, R> {
        self.tell(why);
        Step::Refused(error)
    }

    /// One who does not listen is told nothing.
    fn tell(&self, why: Refusal) {
        let _ = self.channel.send(&Message::Refused(why), &[]);
    }
}

/// So late that it makes no difference, where that is beyond what there is.
fn later(patience: Duration) -> Instant {
    const YEAR: Duration = Duration::from_secs(365 * 24 * 60 * 60);
    Instant::now() + patience.min(YEAR)
}
