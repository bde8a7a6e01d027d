//! ipc-channel: a typed channel each way.

use ipc_channel::ipc::{self, IpcReceiver, IpcSender};
use serde::{Deserialize, Serialize};

use crate::{Side, Words};

#[derive(Serialize, Deserialize)]
pub(crate) struct Ends {
    sender: IpcSender<Words>,
    receiver: IpcReceiver<Words>,
}

pub(crate) fn pair() -> (Ends, Ends) {
    let (there, at_there) = ipc::channel().unwrap();
    let (back, at_back) = ipc::channel().unwrap();
    (Ends { sender: there, receiver: at_back }, Ends { sender: back, receiver: at_there })
}

impl Side for Ends {
    fn send(&self, words: &Words) {
        self.sender.send(*words).unwrap();
    }

    fn receive(&self) -> Words {
        self.receiver.recv().unwrap()
    }
}
