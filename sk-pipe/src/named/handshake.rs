//! What both sides say to each other before there is a pipe.
//!
//! ```text
//!   connector                                   listener
//!      hello: types, a nonce, whether a key ------>  looks at the user that the kernel names
//!        <------ hello: types, a nonce, whether a key
//!      with a key: its proof --------------------->  looks at it
//!        <------ the point, beside its descriptors; with a key: its proof
//!      looks at it, takes the point
//!      attached ---------------------------------->  has the anchor
//! ```
//!
//! A proof is a keyed hash of who gives it and of both hellos, with both nonces, so that no proof can be used by the
//! other side or a second time. Whoever listens at a name in place of the right one gets the connector's proof for
//! a nonce of its own, and can try keys on it: so a key is random bytes and no word that somebody chose.

use hmac::{Hmac, KeyInit as _, Mac as _};
use rustix::io::Errno;
use rustix::rand::{GetRandomFlags, getrandom};
use serde::{Deserialize, Serialize};
use sha2::Sha256;
use sk_cereal::internal;

use crate::end::fingerprint;
use crate::error::{Error, Reason};
use crate::point::{Wire, name_of};

#[derive(Debug, Serialize, Deserialize)]
pub(super) enum Message {
    Hello(Hello),
    Refused(Refusal),
    Proof([u8; 32]),
    /// The point, whose descriptors come beside this.
    Handed {
        proof: Option<[u8; 32]>,
        point: Wire,
    },
    Attached,
}

/// Why there is no pipe, where the other side cannot tell by itself.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub(super) enum Refusal {
    User,
    Key,
    Slow,
    /// It has no memory or no descriptor for it.
    Trouble,
}

/// What a side is.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Hello {
    nonce: [u8; 32],
    has_key: bool,
    sends: Type,
    receives: Type,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
struct Type {
    fingerprint: u64,
    /// As much of it as there is room for.
    name: String,
}

impl Type {
    fn of<T>() -> Type {
        const MOST: usize = 1000;
        let mut name = name_of::<T>();
        let fingerprint = fingerprint(name.as_bytes());
        name.truncate(name.floor_char_boundary(MOST));
        Type { fingerprint, name }
    }
}

impl Message {
    pub(super) fn to_bytes(&self) -> Result<Vec<u8>, Error> {
        Ok(internal::to_vec(self)?)
    }

    pub(super) fn from_bytes(bytes: &[u8]) -> Result<Message, Error> {
        internal::from_slice(bytes)
            .map_err(|_| Error::foreign("a message of these bytes", bytes.len() as u64))
    }
}

impl Hello {
    /// That of a side that sends and receives these.
    pub(super) fn new<S, R>(has_key: bool) -> Result<Hello, Error> {
        let nonce = random()?;
        Ok(Hello { nonce, has_key, sends: Type::of::<S>(), receives: Type::of::<R>() })
    }

    /// Whether two sides fit, as told to the one whose hello this is, of a peer that is called so.
    pub(super) fn check(&self, peer: &Hello, who: &str, process: Option<u32>) -> Result<(), Error> {
        let fits = |one: &Type, other: &Type| one.fingerprint == other.fingerprint;
        if !fits(&self.sends, &peer.receives) || !fits(&self.receives, &peer.sends) {
            let names = [&self.sends, &self.receives, &peer.sends, &peer.receives];
            let names = names.map(|one| one.name.clone());
            return Err(Error::new(Reason::OtherTypes { names }));
        }
        let what = match (self.has_key, peer.has_key) {
            (true, false) => format!("{who} has no key, and this side asks for one"),
            (false, true) => format!("{who} asks for a key, and this side has none"),
            _ => return Ok(()),
        };
        Err(Error::new(Reason::Denied { what, process }))
    }
}

fn random() -> Result<[u8; 32], Error> {
    let mut bytes = [0; 32];
    let mut filled = 0;
    while let Some(rest) = bytes.get_mut(filled..).filter(|rest| !rest.is_empty()) {
        match getrandom(rest, GetRandomFlags::empty()) {
            Ok(count) => filled += count,
            Err(Errno::INTR) => {}
            Err(errno) => return Err(Error::system("cannot get random bytes", 32, errno)),
        }
    }
    Ok(bytes)
}

/// Who proves that it has the key.
#[derive(Debug, Clone, Copy)]
pub(super) enum Prover {
    Connector,
    Listener,
}

/// A secret that both sides know.
#[derive(Clone)]
pub(super) struct Key(Vec<u8>);

impl Key {
    pub(super) fn new(bytes: &[u8]) -> Result<Key, Error> {
        if bytes.is_empty() {
            return Err(Error::endpoint("the key is empty"));
        }
        Ok(Key(bytes.to_vec()))
    }

    /// That this side has the key, for two who have said these hellos.
    pub(super) fn prove(&self, who: Prover, hellos: [&[u8]; 2]) -> Result<[u8; 32], Error> {
        Ok(self.hash(who, hellos)?.finalize().into_bytes().into())
    }

    /// Whether that is a proof; it takes the same time whatever the bytes are.
    pub(super) fn is_proof(
        &self,
        proof: &[u8; 32],
        who: Prover,
        hellos: [&[u8]; 2],
    ) -> Result<bool, Error> {
        Ok(self.hash(who, hellos)?.verify_slice(proof).is_ok())
    }

    fn hash(&self, who: Prover, hellos: [&[u8]; 2]) -> Result<Hmac<Sha256>, Error> {
        // A key of any length is one.
        let mut hash = Hmac::<Sha256>::new_from_slice(&self.0)
            .map_err(|_| Error::endpoint("the key has no usable length"))?;
        hash.update(match who {
            Prover::Connector => b"sk-pipe connector",
            Prover::Listener => b"sk-pipe listener.",
        });
        for hello in hellos {
            hash.update(&(hello.len() as u64).to_le_bytes());
            hash.update(hello);
        }
        Ok(hash)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_proof_is_of_one_side_and_of_one_time() {
        let key = Key::new(b"secret").unwrap();
        let hello = || Message::Hello(Hello::new::<u32, String>(true).unwrap()).to_bytes().unwrap();
        let (one, two, three) = (hello(), hello(), hello());
        let proof = key.prove(Prover::Connector, [&one, &two]).unwrap();
        let holds = |who, hellos| key.is_proof(&proof, who, hellos).unwrap();
        assert!(holds(Prover::Connector, [&one, &two]));
        assert!(!holds(Prover::Listener, [&one, &two]));
        assert!(!holds(Prover::Connector, [&two, &one]));
        assert!(!holds(Prover::Connector, [&one, &three]));
        assert!(!holds(Prover::Connector, [&three, &two]));
        let other = Key::new(b"secret.").unwrap();
        assert!(!other.is_proof(&proof, Prover::Connector, [&one, &two]).unwrap());
        assert!(Key::new(b"").is_err());
    }
}
